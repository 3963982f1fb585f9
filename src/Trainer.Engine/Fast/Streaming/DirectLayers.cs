using Trainer.Engine.Native;
using Trainer.Engine.Weights;

namespace Trainer.Engine.Fast.Streaming;

/// <summary>Layers read past the page cache into buffers of our own, which are used again for other layers once theirs was let go.</summary>
/// <remarks>
/// For a base larger than memory the page cache holds nothing by the time it is needed again: going through it costs a copy and a page fault for each
/// page and evicts what others need. A weight leaves its buffer before the buffer is handed on, so no product can see another layer's bytes.
/// </remarks>
internal sealed unsafe class DirectLayers : ILayerSource
{
    private readonly StreamedLayout _layout;
    private readonly StreamedFiles _state;
    private readonly Dictionary<string, DirectFile> _files;
    private readonly long _bufferBytes;
    private readonly NativeBlock?[] _of;
    private readonly Stack<NativeBlock> _free = new();

    private DirectLayers(StreamedLayout layout, StreamedFiles state, Dictionary<string, DirectFile> files)
    {
        (_layout, _state, _files) = (layout, state, files);
        _bufferBytes = Enumerable.Range(0, layout.Layers).Max(BlockBytes);
        _of = new NativeBlock?[layout.Layers];
    }

    public string Description => "past the page cache";

    /// <summary>Opens the files, or gives null where one cannot be read so.</summary>
    public static DirectLayers? TryOpen(StreamedLayout layout, StreamedFiles state)
    {
        var files = new Dictionary<string, DirectFile>(StringComparer.Ordinal);
        foreach (var path in Enumerable.Range(0, layout.Layers).SelectMany(layout.FilesOf).Distinct(StringComparer.Ordinal))
        {
            if (DirectFile.TryOpen(path) is { } file)
            {
                files.Add(path, file);
                continue;
            }
            foreach (var opened in files.Values) opened.Dispose();
            return null;
        }
        return new DirectLayers(layout, state, files);
    }

    public void Load(int layer, CancellationToken stop)
    {
        var buffer = Take();
        try
        {
            _state.Check(_layout.FilesOf(layer));
            var target = buffer.Start;
            List<BlockRequest> requests = [];
            foreach (var extent in _layout.Extents(layer))
            {
                var begin = Down(extent.Begin);
                var length = Up(extent.End) - begin;
                requests.AddRange(BlockReads.Cut(_files[extent.Path], begin, (IntPtr)target, length, extent.End - begin));
                target += length;
            }
            BlockReads.Run(requests, stop);
            _state.Check(_layout.FilesOf(layer));
        }
        catch
        {
            Return(buffer);
            throw;
        }
        _of[layer] = buffer;
    }

    public void Place(int layer)
    {
        foreach (var weight in _layout.Weights[layer]) weight.Place([.. weight.MappedParts.Select(part => Find(layer, part.Start))]);
    }

    public IntPtr Find(int layer, IntPtr mapped)
    {
        var target = (IntPtr)(_of[layer] ?? throw new InvalidOperationException($"layer {layer} was not loaded")).Start;
        foreach (var extent in _layout.Extents(layer))
        {
            if (mapped >= extent.Start && mapped < extent.Start + (nint)(extent.End - extent.Begin))
                return target + (nint)(extent.Begin - Down(extent.Begin)) + (mapped - extent.Start);
            target += (nint)(Up(extent.End) - Down(extent.Begin));
        }
        throw new InvalidOperationException($"a part of layer {layer} lies in no extent");
    }

    public void Release(int layer)
    {
        foreach (var weight in _layout.Weights[layer]) weight.PlaceHome();
        if (_of[layer] is { } buffer) Return(buffer);
        _of[layer] = null;
    }

    public void Dispose()
    {
        for (var layer = 0; layer < _of.Length; layer++) Release(layer);
        foreach (var buffer in _free) buffer.Dispose();
        _free.Clear();
        foreach (var file in _files.Values) file.Dispose();
    }

    // The reader takes buffers, the computing thread gives them back.
    private NativeBlock Take()
    {
        lock (_free) return _free.TryPop(out var buffer) ? buffer : NativeBlock.OnLargePages(_bufferBytes);
    }

    private void Return(NativeBlock buffer)
    {
        lock (_free) _free.Push(buffer);
    }

    private long BlockBytes(int layer) => _layout.Extents(layer).Sum(extent => Up(extent.End) - Down(extent.Begin));

    private static long Down(long offset) => offset / DirectFile.Block * DirectFile.Block;

    private static long Up(long offset) => Down(offset + DirectFile.Block - 1);
}
