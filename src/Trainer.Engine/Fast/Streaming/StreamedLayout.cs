using Trainer.Engine.Weights;

namespace Trainer.Engine.Fast.Streaming;

/// <summary>Where the streamed weights of each layer lie: in their files, and part by part.</summary>
internal sealed class StreamedLayout
{
    // A gap costs less than another read.
    private const long LargestGap = 1 << 20;
    private readonly List<FileExtent>[] _extents;
    private readonly HashSet<string>[] _files;

    public StreamedLayout(LoadedDecoder model)
    {
        Weights = [.. model.Layers.Select(layer => Matrices(layer).SelectMany(Streamed).Where(weight => weight.MappedParts.Count > 0).ToList())];
        _extents = [.. Weights.Select(weights => Merge(weights.SelectMany(weight => weight.MappedParts).Select(part => Locate(model, part))))];
        _files = [.. _extents.Select(extents => extents.Select(extent => extent.Path).ToHashSet(StringComparer.Ordinal))];
    }

    /// <summary>Streamed weights by layer; a layer quantized while loading has none.</summary>
    public IReadOnlyList<IReadOnlyList<IStreamedWeight>> Weights { get; }

    /// <summary>Bytes of the largest layer.</summary>
    public long LargestLayer => _extents.Max(extents => extents.Sum(extent => extent.End - extent.Begin));

    /// <summary>Bytes of all layers.</summary>
    public long TotalBytes => _extents.Sum(extents => extents.Sum(extent => extent.End - extent.Begin));

    public int Layers => _extents.Length;

    /// <summary>What is read for a layer.</summary>
    public IReadOnlyList<FileExtent> Extents(int layer) => _extents[layer];

    /// <summary>The files that hold it.</summary>
    public IReadOnlySet<string> FilesOf(int layer) => _files[layer];

    // All of a layer's experts: hundreds of tokens ask nearly every one.
    private static IEnumerable<IFrozenWeight> Matrices(DecoderLayer layer) =>
        layer.Linears.Select(linear => linear.Weight).Concat((layer.Experts?.Experts ?? []).SelectMany(expert => new[] { expert.GateUp, expert.Down }));

    private static IEnumerable<IStreamedWeight> Streamed(IFrozenWeight weight) => weight is IStreamedWeight own ? [own] : weight.Parts.SelectMany(Streamed);

    private static FileExtent Locate(LoadedDecoder model, (IntPtr Start, long Length) part)
    {
        var (path, offset) = model.Locate(part.Start);
        return new FileExtent(path, offset, offset + part.Length, part.Start);
    }

    private static List<FileExtent> Merge(IEnumerable<FileExtent> parts)
    {
        var merged = new List<FileExtent>();
        foreach (var part in parts.OrderBy(part => part.Path, StringComparer.Ordinal).ThenBy(part => part.Begin))
        {
            if (merged.Count > 0 && merged[^1] is var last && last.Path == part.Path && part.Begin - last.End <= LargestGap)
                merged[^1] = last with { End = Math.Max(last.End, part.End) };
            else merged.Add(part);
        }
        return merged;
    }
}
