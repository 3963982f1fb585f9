namespace Trainer.Engine.Fast.Streaming;

/// <summary>Neighbouring bytes of one file that are read together.</summary>
/// <param name="Path">The file.</param>
/// <param name="Begin">First byte in the file.</param>
/// <param name="End">One past the last.</param>
/// <param name="Start">Address of the first byte in the mapping.</param>
internal sealed record FileExtent(string Path, long Begin, long End, IntPtr Start);
