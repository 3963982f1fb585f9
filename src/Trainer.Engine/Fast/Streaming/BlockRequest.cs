using Trainer.Engine.Native;

namespace Trainer.Engine.Fast.Streaming;

/// <summary>One read of whole blocks.</summary>
/// <param name="File">The file.</param>
/// <param name="Offset">First byte in it.</param>
/// <param name="Target">Address to read to.</param>
/// <param name="Length">Bytes, whole blocks.</param>
/// <param name="Needed">Bytes of them that must be there.</param>
internal sealed record BlockRequest(IBlockFile File, long Offset, IntPtr Target, long Length, long Needed);
