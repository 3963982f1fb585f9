using System.Globalization;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Weights;

namespace Trainer.Engine.Fast.Streaming;

/// <summary>All of a model's streaming: its layers, its head, and the watch over its files.</summary>
internal sealed unsafe class StreamedBase : IDisposable
{
    private readonly StreamedFiles _files;
    private readonly LayerStream _layers;
    private readonly List<(IntPtr Start, long Length)> _tables;
    private readonly Action? _dropMapped;

    /// <param name="model">The model.</param>
    /// <param name="rooms">Where layers are sent on to; null where they are used in this process's memory.</param>
    public StreamedBase(LoadedDecoder model, ILayerRooms? rooms = null)
    {
        _files = new StreamedFiles(model.WeightPaths);
        var layout = new StreamedLayout(model);
        var head = model.Head.Weight as DenseWeight;
        var window = StreamWindow.Of(model.Options.StreamBytes, rooms is null ? layout.LargestLayer : DeviceLayers.RoomBytes(layout), layout.Layers,
            model.Head.Weight.ByteCount);
        if (window.HeadKept) rooms?.Keep(model.Head.Weight);
        if (!window.HeadKept && head is { Resident: null }) Head = new HeadPages(head);
        _tables = [.. model.Ends.Tables.Values.Append(model.Embedding.Weight).OfType<DenseWeight>()
            .Where(table => !(window.HeadKept && ReferenceEquals(table, head))).Select(table => table.MappedParts[0])];
        // Codes of other tools are used where they are mapped: what a layer touched goes when the next is visited.
        if (model.Config.StoredQuantization is { IsNf4: false }) _dropMapped = model.DropPages;
        var source = Source(model.Options, layout, _files);
        if (rooms is not null) source = new DeviceLayers(source, layout, rooms);
        _layers = new LayerStream(source, layout.Layers, window);
        // What loading touched need not stay.
        using (var mapped = new MappedLayers(layout, _files))
            for (var l = 0; l < layout.Layers; l++) mapped.Release(l);
        Description = _dropMapped is not null ? "weights read from their mapped files, a layer at a time" : string.Create(CultureInfo.InvariantCulture,
            $"{layout.TotalBytes / (double)(1L << 30):0.0} GiB of weights "
            + $"read {source.Description}, {Math.Min(layout.Layers, window.LayersKept + 2)} of {layout.Layers} layers"
            + $"{(window.HeadKept ? " and the head" : "")} in memory at a time");
    }

    /// <summary>How it reads and what stays, in words.</summary>
    public string Description { get; }

    /// <summary>Layers read so far.</summary>
    public long LayersRead => _layers.Loads;

    /// <summary>Set where the head does not stay.</summary>
    public HeadPages? Head { get; }

    /// <summary>Waits for a layer and has another read.</summary>
    /// <param name="layer">The layer that is computed next.</param>
    /// <param name="next">The one after it, or -1.</param>
    /// <param name="queued">What was queued so far, with weights of the layer visited last; null where it is done.</param>
    public void Visit(int layer, int next, IDeviceEvent? queued)
    {
        _dropMapped?.Invoke();
        _layers.Visit(layer, next, queued);
    }

    /// <summary>Rows of the embedding, and of other tables, were taken: their pages go, or a long run would gather whole tables. So do those of a head that
    /// was used whole, for a single row.</summary>
    public void AfterEmbedding()
    {
        foreach (var (start, length) in _tables) MappedPages.Drop((void*)start, length);
        Head?.DropAll();
    }

    /// <summary>Stops a run whose files changed.</summary>
    public void CheckFiles() => _files.Check();

    public void Dispose() => _layers.Dispose();

    private static ILayerSource Source(ModelLoadOptions options, StreamedLayout layout, StreamedFiles files)
    {
        var readers = options.StreamReaders ?? StreamReaders.Alone;
        var direct = options.StreamReads == StreamReads.Direct || (options.StreamReads == StreamReads.Auto && readers.ReadPastTheCache(layout.TotalBytes));
        return (direct ? DirectLayers.TryOpen(layout, files) : null) ?? (ILayerSource)new MappedLayers(layout, files);
    }
}
