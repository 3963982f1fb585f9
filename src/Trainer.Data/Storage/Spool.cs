using System.Runtime.InteropServices;

namespace Trainer.Data.Storage;

/// <summary>A list that only grows: the latest entries in memory, the others in a file without a name in the temporary folder.</summary>
/// <param name="inMemory">Entries held in memory before they are written.</param>
internal sealed class Spool<T>(int inMemory = 1 << 14) : IDisposable where T : unmanaged
{
    private readonly List<T> _latest = [];
    private FileStream? _file;

    public long Count { get; private set; }

    public void Add(T item)
    {
        if (_latest.Count == inMemory) Flush();
        _latest.Add(item);
        Count++;
    }

    /// <summary>Every entry in order.</summary>
    public IEnumerable<T> Items()
    {
        if (_file is not null)
        {
            var block = new T[inMemory];
            for (long at = 0; at < _file.Length;)
            {
                RandomAccess.Read(_file.SafeFileHandle, MemoryMarshal.AsBytes(block.AsSpan()), at);
                at += inMemory * (long)System.Runtime.CompilerServices.Unsafe.SizeOf<T>();
                foreach (var item in block) yield return item;
            }
        }
        for (var i = 0; i < _latest.Count; i++) yield return _latest[i];
    }

    public void Dispose() => _file?.Dispose();

    private void Flush()
    {
        try
        {
            _file ??= Temporary();
            RandomAccess.Write(_file.SafeFileHandle, MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(_latest)), _file.Length);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ArgumentOutOfRangeException)
        {
            throw new DataException($"cannot write to the temporary folder '{Path.GetTempPath()}': {fault.Message.TrimEnd('.')}; free space there, or set "
                + "TMPDIR to another folder", fault);
        }
        _latest.Clear();
    }

    private static FileStream Temporary()
    {
        var path = Path.Combine(Path.GetTempPath(), $"trainer-{Environment.ProcessId}-{Guid.NewGuid():N}.tmp");
        var file = new FileStream(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Delete, 0, FileOptions.DeleteOnClose);
        // Without its name it is gone with the process, however that ends.
        if (!OperatingSystem.IsWindows()) File.Delete(path);
        return file;
    }
}
