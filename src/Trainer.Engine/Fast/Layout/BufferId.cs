namespace Trainer.Engine.Fast;

/// <summary>The buffers of a pass of the hand-written engine; T: tokens, rows: those that carry loss.</summary>
internal enum BufferId
{
    // Tables of the batch.
    Positions,
    Cos,
    Sin,
    LossRows,
    LossTargets,
    LossFactors,
    Losses,

    // Frozen products.
    PackedRows,
    TileScratch,
    Panel,
    NarrowRows,
    NarrowResult,
    NarrowPanel,
    Codes,
    CodeScales,
    CodePanel,
    PanelCodes,
    PanelScales,
    CodeSums,

    // Adapters.
    LowGradient,
    UpperGradient,
    Ones,
    Dropped,
    Mask,
    WrittenRows,
    Ratio,
    RatioSums,
    ScaledGradient,

    // Head and loss.
    Logits,
    HeadNormed,
    LogitSlopes,
    HeadLow,

    // Attention.
    Scores,
    ScoreGradients,
    ScoreSlopes,

    // The stream between layers.
    EvenInput,
    OddInput,
    Input,

    // What a layer keeps.
    Query,
    Key,
    Value,
    Gate,
    Up,
    RawQuery,
    RawKey,
    QueryInverse,
    KeyInverse,
    RawAttention,
    AttentionInverse,
    RawMlp,
    MlpInverse,
    LogSums,
    Attended,
    Middle,
    FirstInverse,
    SecondInverse,
    AdapterLow,
    AdapterWhole,
    AdapterNorms,

    // What layers share.
    Normed,
    Delta,
    Activated,
    ActivatedGradient,
    AttendedGradient,
    QueryGradient,
    KeyGradient,
    ValueGradient,
    Gradient,
    RowInput,
    RowOutput,
    RowNormed,
    RowGradient,
    RowAttended,
    RowQuery,
    RowInverse,
}
