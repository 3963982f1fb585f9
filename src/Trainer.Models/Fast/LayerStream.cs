using System.Runtime.InteropServices;
using Trainer.Models.Native;
using Trainer.Numerics.Nf4;

namespace Trainer.Models.Fast;

/// <summary>Keeps the layer at work and the next one of a mapped model resident: the next is read on a thread of its own, the last one is let go.</summary>
/// <remarks>
/// Weights are used where they are mapped and never copied or recycled, so a late prefetch costs time and never a wrong value.
/// Pages that are let go stay in the system's page cache as long as it has room.
/// </remarks>
internal sealed unsafe partial class LayerStream : IDisposable
{
    private const int PopulateRead = 22;
    private const int WillNeed = 3;
    private readonly List<(long Start, long Length)>[] _layers;
    private readonly List<(long Start, long Length)> _ends;
    private readonly List<(string Path, long Length, DateTime Written)> _files;
    private readonly Thread _reader;
    private readonly object _gate = new();
    private int _wanted = -1;
    private int _current = -1;
    private bool _stopped;

    public LayerStream(CausalModel model)
    {
        _layers = [.. model.Layers.Select(layer => layer.Linears.SelectMany(linear => Ranges(linear.Weight)).ToList())];
        _ends = [.. Ranges(model.Embedding.Weight), .. Ranges(model.Head.Weight)];
        _files = [.. Directory.GetFiles(model.Folder, "*.safetensors").Select(path => (path, new FileInfo(path).Length, File.GetLastWriteTimeUtc(path)))];
        // What loading touched (embedding and head are checked for NaN) need not stay.
        foreach (var (start, length) in _layers.SelectMany(ranges => ranges).Concat(_ends)) MappedPages.Drop((void*)start, length);
        _reader = new Thread(Read) { IsBackground = true, Name = "weight prefetch" };
        _reader.Start();
    }

    /// <summary>Bytes of the largest layer.</summary>
    public long LargestLayer => _layers.Max(ranges => ranges.Sum(range => range.Length));

    /// <summary>A layer is about to be computed, and another will follow (-1: none).</summary>
    public void Visit(int layer, int next)
    {
        lock (_gate)
        {
            for (var l = 0; l < _layers.Length; l++)
                if (l == _current && l != layer && l != next) Drop(l);
            _current = layer;
            _wanted = next;
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>The head was used: its pages go.</summary>
    public void AfterHead()
    {
        foreach (var (start, length) in _ends) MappedPages.Drop((void*)start, length);
    }

    /// <summary>Stops a run whose files changed under the mapping.</summary>
    /// <exception cref="ModelException">A file has another length or time.</exception>
    public void CheckFiles()
    {
        foreach (var (path, length, written) in _files)
        {
            if (!File.Exists(path) || new FileInfo(path).Length != length || File.GetLastWriteTimeUtc(path) != written)
                throw new ModelException($"'{path}' changed while it was being streamed; start again from the finished file");
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _stopped = true;
            Monitor.Pulse(_gate);
        }
        _reader.Join();
    }

    private void Drop(int layer)
    {
        foreach (var (start, length) in _layers[layer]) MappedPages.Drop((void*)start, length);
    }

    private void Read()
    {
        while (true)
        {
            int layer;
            lock (_gate)
            {
                while (_wanted < 0 && !_stopped) Monitor.Wait(_gate);
                if (_stopped) return;
                layer = _wanted;
                _wanted = -1;
            }
            foreach (var (start, length) in _layers[layer])
            {
                if (Volatile.Read(ref _stopped)) return;
                Populate(start, length);
            }
        }
    }

    // Reads pages in and maps them; on kernels before 5.14 the touch alone does it.
    private static void Populate(long start, long length)
    {
        long page = Environment.SystemPageSize;
        var begin = start / page * page;
        var size = start + length - begin;
        if (OperatingSystem.IsLinux())
        {
            if (Advise((void*)begin, (nuint)size, PopulateRead) == 0) return;
            _ = Advise((void*)begin, (nuint)size, WillNeed);
        }
        byte sum = 0;
        for (var at = start; at < start + length; at += page) sum += *(byte*)at;
        GC.KeepAlive(sum);
    }

    private static IEnumerable<(long Start, long Length)> Ranges(IFrozenWeight weight)
    {
        if (weight is Nf4Weight { IsMapped: true } packed)
        {
            var (codes, absmax) = Addresses(packed);
            yield return (codes, Nf4Codebook.PackedBytes(packed.Source.Count));
            if (absmax != 0) yield return (absmax, Nf4Codebook.Blocks(packed.Source.Count));
        }
        else if (weight is DenseWeight dense)
        {
            yield return (Address(dense), dense.ByteCount);
        }
    }

    private static (long Codes, long Absmax) Addresses(Nf4Weight weight) => ((long)weight.Source.Packed, (long)weight.Source.Codes);

    private static long Address(DenseWeight weight) => (long)TorchMemory.Pointer(weight.Stored);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* start, nuint length, int advice);
}
