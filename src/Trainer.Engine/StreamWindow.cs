namespace Trainer.Engine;

/// <summary>What of a streamed base stays in memory: two layers at least, then the head, then further layers, as far as the bytes reach.</summary>
/// <param name="LayersKept">Layers that are read once and stay, beside the two that take turns.</param>
/// <param name="HeadKept">Whether the head stays too.</param>
public sealed record StreamWindow(int LayersKept, bool HeadKept)
{
    /// <summary>The window of a number of bytes.</summary>
    /// <param name="bytes">What it may take; null is the smallest.</param>
    /// <param name="layerBytes">Bytes of the largest layer.</param>
    /// <param name="layers">Layers.</param>
    /// <param name="headBytes">Bytes of the head.</param>
    public static StreamWindow Of(long? bytes, long layerBytes, int layers, long headBytes)
    {
        var left = (bytes ?? 0) - Smallest(layerBytes, layers);
        // The head is read at least twice a step, and twice for every chunk of loss rows.
        var head = left >= headBytes;
        if (head) left -= headBytes;
        var kept = left <= 0 || layerBytes == 0 ? 0 : (int)Math.Min(layers, left / layerBytes);
        // All but two, and the two that take turns are the rest.
        return new StreamWindow(kept >= layers - 2 ? layers : kept, head);
    }

    /// <summary>Bytes that every window takes: the layer at work and the next one.</summary>
    /// <param name="layerBytes">Bytes of the largest layer.</param>
    /// <param name="layers">Layers.</param>
    public static long Smallest(long layerBytes, int layers) => layerBytes * Math.Min(2, layers);

    /// <summary>Bytes of the base that are in memory at a time.</summary>
    /// <param name="layerBytes">Bytes of the largest layer.</param>
    /// <param name="layers">Layers.</param>
    /// <param name="headBytes">Bytes of the head.</param>
    public long Bytes(long layerBytes, int layers, long headBytes) => layerBytes * Math.Min(layers, LayersKept + 2) + (HeadKept ? headBytes : 0);

    /// <summary>Whether a layer stays: those that do are spread evenly, so that each leaves the disk time for the next one that does not.</summary>
    /// <param name="layer">Zero-based.</param>
    /// <param name="layers">Layers.</param>
    public bool Keeps(int layer, int layers) => KeptBelow(layer + 1, layers) > KeptBelow(layer, layers);

    // Rounded, so that a single one lies in the middle: the outermost layers are the last of one direction and the first of the other, and stay anyway.
    private long KeptBelow(int layer, int layers) => ((long)layer * LayersKept + layers / 2) / layers;
}
