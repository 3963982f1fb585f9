namespace Trainer.Engine;

/// <summary>The modules of one layer; a fused family has <see cref="Qkv"/> and <see cref="GateUp"/> in place of the separate ones.</summary>
public sealed record DecoderLayer
{
    /// <summary>Zero-based position.</summary>
    public required int Index { get; init; }

    /// <summary>What differs from layer to layer.</summary>
    public required LayerConfig Config { get; init; }

    /// <summary>Queries, keys and values in one matrix, in this order, or null.</summary>
    public LinearModule? Qkv { get; init; }

    /// <summary>Queries.</summary>
    public LinearModule? Query { get; init; }

    /// <summary>Keys.</summary>
    public LinearModule? Key { get; init; }

    /// <summary>Values.</summary>
    public LinearModule? Value { get; init; }

    /// <summary>Attention output.</summary>
    public required LinearModule Output { get; init; }

    /// <summary>Gate and up in one matrix, in this order, or null.</summary>
    public LinearModule? GateUp { get; init; }

    /// <summary>Gate.</summary>
    public LinearModule? Gate { get; init; }

    /// <summary>Up.</summary>
    public LinearModule? Up { get; init; }

    /// <summary>Down.</summary>
    public required LinearModule Down { get; init; }

    /// <summary>Norm on the input of attention, or null.</summary>
    public NormModule? BeforeAttention { get; init; }

    /// <summary>Norm on the output of attention, or null.</summary>
    public NormModule? AfterAttention { get; init; }

    /// <summary>Norm on the input of the feed-forward block, or null.</summary>
    public NormModule? BeforeMlp { get; init; }

    /// <summary>Norm on its output, or null.</summary>
    public NormModule? AfterMlp { get; init; }

    /// <summary>Norm on queries, or null.</summary>
    public NormModule? QueryNorm { get; init; }

    /// <summary>Norm on keys, or null.</summary>
    public NormModule? KeyNorm { get; init; }

    /// <summary>The linears in the order PEFT visits them.</summary>
    public IEnumerable<LinearModule> Linears => new[] { Qkv, Query, Key, Value, Output, GateUp, Gate, Up, Down }.OfType<LinearModule>();

    /// <summary>The norms.</summary>
    public IEnumerable<NormModule> Norms => new[] { BeforeAttention, AfterAttention, BeforeMlp, AfterMlp, QueryNorm, KeyNorm }.OfType<NormModule>();
}
