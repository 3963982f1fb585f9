using Microsoft.Win32.SafeHandles;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints.Folders;

/// <summary>
/// Keeps the tensors of one shard in a file beside it until all sizes are known, since the header that comes first tells them.
/// </summary>
internal sealed class SpoolSink : TensorSink, IDisposable
{
    private const int Part = 1 << 22;

    private readonly string _path;
    private readonly SafeFileHandle _file;
    private readonly List<(TensorDeclaration Tensor, long At)> _tensors = [];
    private long _length;

    internal SpoolSink(string path)
    {
        _path = path;
        _file = File.OpenHandle(path, FileMode.Create, FileAccess.ReadWrite, FileShare.None, FileOptions.DeleteOnClose);
    }

    public override void Write(TensorDeclaration tensor, ReadOnlySpan<byte> bytes)
    {
        if (_tensors.Count == 0 || _tensors[^1].Tensor.Name != tensor.Name) _tensors.Add((tensor, _length));
        try
        {
            RandomAccess.Write(_file, bytes, _length);
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            throw WriteFault.Of(_path, fault);
        }
        _length += bytes.Length;
    }

    internal IEnumerable<TensorDeclaration> Tensors => _tensors.Select(static one => one.Tensor);

    internal void CopyTo(SafetensorsWriter writer)
    {
        var buffer = new byte[Part];
        foreach ((var tensor, var start) in _tensors)
        {
            for (long done = 0; done < tensor.ByteCount;)
            {
                var got = RandomAccess.Read(_file, buffer.AsSpan(0, (int)Math.Min(Part, tensor.ByteCount - done)), start + done);
                writer.Write(tensor.Name, got > 0 ? buffer.AsSpan(0, got)
                    : throw new InvalidOperationException($"tensor '{tensor.Name}' was given too few bytes"));
                done += got;
            }
        }
    }

    public void Dispose() => _file.Dispose();
}
