namespace Trainer.Hub;

/// <summary>How far a download is.</summary>
/// <param name="File">The file that just moved.</param>
/// <param name="BytesDone">Bytes of all files that are here, earlier runs included.</param>
/// <param name="BytesTotal">Bytes of all files.</param>
/// <param name="FilesDone">Files finished and verified.</param>
/// <param name="FilesTotal">Files in all.</param>
/// <param name="Note">A sentence for the log (a retry, a restart), or null.</param>
public sealed record HubProgress(string File, long BytesDone, long BytesTotal, int FilesDone, int FilesTotal, string? Note);
