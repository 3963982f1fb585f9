namespace Trainer.Data;

/// <summary>How far reading and tokenizing has come.</summary>
/// <param name="File">The file being read.</param>
/// <param name="BytesRead">Bytes read of all files (compressed bytes where compressed).</param>
/// <param name="BytesTotal">Bytes of all files.</param>
/// <param name="Rows">Rows finished.</param>
/// <param name="Tokens">Tokens made.</param>
public readonly record struct DataProgress(string File, long BytesRead, long BytesTotal, long Rows, long Tokens);
