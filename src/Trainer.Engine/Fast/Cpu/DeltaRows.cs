using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>One head's operands of the gated delta rule, or where their gradients lie.</summary>
internal readonly unsafe struct DeltaRows
{
    /// <summary>The head's operands from a token on.</summary>
    /// <param name="config">Heads and sizes.</param>
    /// <param name="mixed">(T, channels).</param>
    /// <param name="strength">(T, value heads).</param>
    /// <param name="step">(T, value heads).</param>
    /// <param name="token">First token.</param>
    /// <param name="head">Value head.</param>
    public DeltaRows(GatedDelta config, float* mixed, float* strength, float* step, long token, int head)
    {
        (Stride, Heads) = (config.Channels, config.ValueHeads);
        var (keys, keyHead) = ((long)config.KeyHeads * config.KeySize, head / (config.ValueHeads / config.KeyHeads));
        Query = mixed + token * Stride + (long)keyHead * config.KeySize;
        Key = Query + keys;
        Value = mixed + token * Stride + 2 * keys + (long)head * config.ValueSize;
        Strength = strength + token * Heads + head;
        Step = step + token * Heads + head;
    }

    public float* Query { get; }

    public float* Key { get; }

    public float* Value { get; }

    public float* Strength { get; }

    public float* Step { get; }

    /// <summary>Floats from a token's query, key or value to the next.</summary>
    public long Stride { get; }

    /// <summary>Floats from a token's strength or step to the next.</summary>
    public long Heads { get; }

    /// <summary>-exp(A): what multiplies softplus(step + <see cref="Shift"/>).</summary>
    public float Decay { get; init; }

    public float Shift { get; init; }
}
