namespace Trainer.Engine.Fast;

/// <summary>The places a linear can have in a layer.</summary>
internal enum Slot
{
    Qkv,
    Query,
    Key,
    Value,
    Output,
    GateUp,
    Gate,
    Up,
    Down,
}
