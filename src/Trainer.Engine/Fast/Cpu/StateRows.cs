using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>One head's operands of a state-space scan, or where their gradients lie.</summary>
internal readonly unsafe struct StateRows
{
    /// <summary>The head's operands from a token on.</summary>
    /// <param name="config">Heads and sizes.</param>
    /// <param name="mixed">(T, channels).</param>
    /// <param name="step">(T, heads) in rows of <paramref name="stepStride"/> floats.</param>
    /// <param name="stepStride">Floats from a token's steps to the next.</param>
    /// <param name="token">First token.</param>
    /// <param name="head">Head.</param>
    public StateRows(Mamba2 config, float* mixed, float* step, long stepStride, long token, int head)
    {
        (Stride, StepStride) = (config.Channels, stepStride);
        Value = mixed + token * Stride + (long)head * config.HeadSize;
        Write = mixed + token * Stride + config.Inner + (long)(head / (config.Heads / config.Groups)) * config.StateSize;
        Read = Write + (long)config.Groups * config.StateSize;
        Step = step + token * StepStride + head;
    }

    public float* Value { get; }

    /// <summary>B, along which values go into the state.</summary>
    public float* Write { get; }

    /// <summary>C, along which the state is read.</summary>
    public float* Read { get; }

    public float* Step { get; }

    /// <summary>Floats from a token's value, B or C to the next.</summary>
    public long Stride { get; }

    /// <summary>Floats from a token's step to the next.</summary>
    public long StepStride { get; }

    /// <summary>-exp(A): what multiplies the step.</summary>
    public float Decay { get; init; }

    public float Direct { get; init; }

    public float Shift { get; init; }
}
