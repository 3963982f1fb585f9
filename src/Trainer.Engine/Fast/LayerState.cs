using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Models.Drawing;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast;

/// <summary>What the backward pass of one layer needs of its forward pass. Norm outputs and the gated product are not kept: they are cheap to make
/// again.</summary>
internal sealed class LayerState
{
    private readonly PassMemory _memory;
    private readonly int _index;

    /// <summary>Finds the buffers of a layer: its own, or those that all layers share.</summary>
    /// <param name="memory">The memory of the pass.</param>
    /// <param name="shape">The model.</param>
    /// <param name="layer">The layer.</param>
    public LayerState(PassMemory memory, FastShape shape, int layer)
    {
        _memory = memory;
        _index = !memory.FloatsOrNone(BufferId.Middle, layer).IsNone ? layer : -1;
        Query = Own(BufferId.Query);
        if (shape.HeadsOf(layer) is { } heads)
        {
            // Keys and values that later layers use stay where nobody else writes.
            var isSource = shape.IsSource(layer);
            Key = heads.IsFused ? Query + heads.Query : isSource ? memory.Floats(BufferId.SharedKey, layer) : Own(BufferId.Key);
            Value = heads.IsFused ? Key + heads.Kv : isSource ? memory.Floats(BufferId.SharedValue, layer) : Own(BufferId.Value);
        }
        Gate = Own(BufferId.Gate);
        Up = Own(BufferId.Up);
        RawQuery = Own(BufferId.RawQuery);
        RawKey = Own(BufferId.RawKey);
        QueryInverse = Own(BufferId.QueryInverse);
        KeyInverse = Own(BufferId.KeyInverse);
        RawValue = Own(BufferId.RawValue);
        ValueInverse = Own(BufferId.ValueInverse);
        RawAttention = Own(BufferId.RawAttention);
        AttentionInverse = Own(BufferId.AttentionInverse);
        RawMlp = Own(BufferId.RawMlp);
        MlpInverse = Own(BufferId.MlpInverse);
        LogSums = Own(BufferId.LogSums);
        Attended = Own(BufferId.Attended);
        Middle = Own(BufferId.Middle);
        FirstInverse = Own(BufferId.FirstInverse);
        SecondInverse = Own(BufferId.SecondInverse);
    }

    /// <summary>Queries (T, heads, size), turned; fused with keys and values in one row where the family does so.</summary>
    public Place Query { get; }

    public Place Key { get; }

    public Place Value { get; }

    /// <summary>Queries before their norm, or none where the family has none.</summary>
    public Place RawQuery { get; }

    public Place RawKey { get; }

    public Place QueryInverse { get; }

    public Place KeyInverse { get; }

    /// <summary>Values before they were normed, or none.</summary>
    public Place RawValue { get; }

    public Place ValueInverse { get; }

    /// <summary>Attention's output (T, query width).</summary>
    public Place Attended { get; }

    /// <summary>What the attention block adds to the stream, before its norm (rows, hidden), or none where the family has none.</summary>
    public Place RawAttention { get; }

    public Place AttentionInverse { get; }

    /// <summary>What the feed-forward block adds to the stream, before its norm (rows, hidden), or none.</summary>
    public Place RawMlp { get; }

    public Place MlpInverse { get; }

    /// <summary>The residual stream between the two blocks (rows, hidden).</summary>
    public Place Middle { get; }

    /// <summary>Gates of the dense block; ups beside them where they are one matrix.</summary>
    public Place Gate { get; }

    /// <summary>Ups, or none where they lie beside the gates.</summary>
    public Place Up { get; }

    /// <summary>Where each expert's rows begin, and how many there are; null before the layer was computed, or where it has no experts.</summary>
    public int[]? ExpertStarts { get; set; }

    public Place FirstInverse { get; }

    public Place SecondInverse { get; }

    /// <summary>Logarithm of each query's sum of exponentials (heads, T).</summary>
    public Place LogSums { get; }

    /// <summary>The operands of attention over the layer's own keys and values.</summary>
    public LayerAttention Attention(HeadShape heads, int? window, Place sinks) => new(heads, Query, Key, Value, Attended, LogSums, window) { Sinks = sinks };

    /// <summary>What the adapter of a linear keeps.</summary>
    public AdapterState Of(LinearModule linear) => AdapterState.Of(_memory, _index, linear);

    /// <summary>u of an adapter on a matrix of experts (rows, rank).</summary>
    public Place LowOf(ExpertPart part) => _memory.FloatsOrNone(BufferId.AdapterLow, _index, RoleOf(part), BufferKey.Experts);

    /// <summary>The role that names a matrix of experts in a buffer's key.</summary>
    public static ModuleRole RoleOf(ExpertPart part) => part switch
    {
        ExpertPart.GateUp => ModuleRole.GateUp,
        ExpertPart.Gate => ModuleRole.Gate,
        ExpertPart.Up => ModuleRole.Up,
        _ => ModuleRole.Down,
    };

    /// <summary>A buffer of the layer, or none where it has none of that name.</summary>
    public Place Own(BufferId id) => _memory.FloatsOrNone(id, _index);

    /// <summary>The same of 32-bit integers.</summary>
    public Place OwnIntegers(BufferId id) => _memory.At(ElementType.Int32, id, _index);
}
