using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast;

/// <summary>What the backward pass of one adapted linear needs of its forward pass; none where it has no such adapter.</summary>
internal readonly struct AdapterState(Place low, Place whole, Place norms)
{
    /// <summary>The buffers of a linear's adapter in a layer's state.</summary>
    public static AdapterState Of(PassMemory memory, int index, LinearModule linear)
    {
        var (role, part) = BufferKey.Of(linear.Blueprint);
        return new(memory.FloatsOrNone(BufferId.AdapterLow, index, role, part), memory.FloatsOrNone(BufferId.AdapterWhole, index, role, part),
            memory.FloatsOrNone(BufferId.AdapterNorms, index, role, part));
    }

    /// <summary>u = x' A^T (rows, rank).</summary>
    public Place Low { get; } = low;

    /// <summary>DoRA's z = W x' + s u B^T, what the magnitudes scale (rows, out).</summary>
    public Place Whole { get; } = whole;

    /// <summary>|W + s B A| of each row (out).</summary>
    public Place Norms { get; } = norms;
}
