namespace Trainer.Hub;

/// <summary>One file of a revision as the hub describes it.</summary>
/// <param name="Path">Path inside the repository, with slashes.</param>
/// <param name="Etag">Its checksum as the hub names it: SHA-256 (64 digits) for large files, git's SHA-1 (40) for small ones, or something opaque.</param>
/// <param name="Bytes">Its length.</param>
internal sealed record HubFile(string Path, string Etag, long Bytes);
