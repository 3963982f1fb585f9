using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast;

/// <summary>Scratch that the layers of a pass share; what the pass has no use for is none.</summary>
internal sealed class FastBuffers
{
    public FastBuffers(PassMemory memory, FastShape shape)
    {
        Normed = memory.Floats(BufferId.Normed);
        Delta = memory.Floats(BufferId.Delta);
        Activated = memory.FloatsOrNone(BufferId.Activated);
        ActivatedGradient = memory.FloatsOrNone(BufferId.ActivatedGradient);
        AttendedGradient = memory.FloatsOrNone(BufferId.AttendedGradient);
        QueryGradient = memory.FloatsOrNone(BufferId.QueryGradient);
        KeyGradient = shape.Fused ? QueryGradient + shape.HeadsOf(0)!.Query : memory.FloatsOrNone(BufferId.KeyGradient);
        ValueGradient = shape.Fused ? KeyGradient + shape.HeadsOf(0)!.Kv : memory.FloatsOrNone(BufferId.ValueGradient);
        Gradient = memory.FloatsOrNone(BufferId.Gradient);
        RowInput = memory.FloatsOrNone(BufferId.RowInput);
        RowOutput = memory.Floats(BufferId.RowOutput);
        RowNormed = memory.FloatsOrNone(BufferId.RowNormed);
        RowGradient = memory.FloatsOrNone(BufferId.RowGradient);
        RowAttended = memory.FloatsOrNone(BufferId.RowAttended);
        RowQuery = memory.FloatsOrNone(BufferId.RowQuery);
        RowInverse = memory.Floats(BufferId.RowInverse);
    }

    /// <summary>A norm's output (T, hidden).</summary>
    public Place Normed { get; }

    /// <summary>What a block adds to the stream, and in the backward pass the gradient of a norm's output (T, hidden).</summary>
    public Place Delta { get; }

    /// <summary>The gated product (T, wide).</summary>
    public Place Activated { get; }

    public Place ActivatedGradient { get; }

    public Place AttendedGradient { get; }

    public Place QueryGradient { get; }

    public Place KeyGradient { get; }

    public Place ValueGradient { get; }

    /// <summary>Gradient of the stream (T, hidden).</summary>
    public Place Gradient { get; }

    /// <summary>Rows that carry loss: the last layer's input (rows, hidden).</summary>
    public Place RowInput { get; }

    /// <summary>The stack's output at these rows.</summary>
    public Place RowOutput { get; }

    public Place RowNormed { get; }

    public Place RowGradient { get; }

    public Place RowAttended { get; }

    public Place RowQuery { get; }

    public Place RowInverse { get; }
}
