namespace Trainer.Data;

/// <summary>One data file as it was read.</summary>
/// <param name="Path">Path as the user gave it.</param>
/// <param name="Sha256">Digest of its bytes, hex.</param>
/// <param name="Bytes">Size on disk.</param>
/// <param name="Kind">What its rows are: text, completion, chat, instruction or tokenized.</param>
/// <param name="Rows">Rows in it.</param>
public sealed record FileStatistics(string Path, string Sha256, long Bytes, string Kind, long Rows);
