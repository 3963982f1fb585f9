namespace Trainer.Engine.Fast;

/// <summary>Scratch that the layers of a pass share; what the pass has no use for is null.</summary>
internal sealed unsafe class FastBuffers
{
    public FastBuffers(PassMemory memory, FastShape shape)
    {
        Normed = memory.Floats(BufferId.Normed);
        Delta = memory.Floats(BufferId.Delta);
        Activated = memory.Floats(BufferId.Activated);
        ActivatedGradient = memory.FloatsOrNull(BufferId.ActivatedGradient);
        AttendedGradient = memory.FloatsOrNull(BufferId.AttendedGradient);
        QueryGradient = memory.FloatsOrNull(BufferId.QueryGradient);
        KeyGradient = shape.Fused ? QueryGradient + shape.Query : memory.FloatsOrNull(BufferId.KeyGradient);
        ValueGradient = shape.Fused ? KeyGradient + shape.Kv : memory.FloatsOrNull(BufferId.ValueGradient);
        Gradient = memory.FloatsOrNull(BufferId.Gradient);
        RowInput = memory.FloatsOrNull(BufferId.RowInput);
        RowOutput = memory.Floats(BufferId.RowOutput);
        RowNormed = memory.FloatsOrNull(BufferId.RowNormed);
        RowGradient = memory.FloatsOrNull(BufferId.RowGradient);
        RowAttended = memory.FloatsOrNull(BufferId.RowAttended);
        RowQuery = memory.FloatsOrNull(BufferId.RowQuery);
        RowInverse = memory.Floats(BufferId.RowInverse);
    }

    /// <summary>A norm's output (T, hidden).</summary>
    public float* Normed { get; }

    /// <summary>What a block adds to the stream, and in the backward pass the gradient of a norm's output (T, hidden).</summary>
    public float* Delta { get; }

    /// <summary>The gated product (T, wide).</summary>
    public float* Activated { get; }

    public float* ActivatedGradient { get; }

    public float* AttendedGradient { get; }

    public float* QueryGradient { get; }

    public float* KeyGradient { get; }

    public float* ValueGradient { get; }

    /// <summary>Gradient of the stream (T, hidden).</summary>
    public float* Gradient { get; }

    /// <summary>Rows that carry loss: the last layer's input (rows, hidden).</summary>
    public float* RowInput { get; }

    /// <summary>The stack's output at these rows.</summary>
    public float* RowOutput { get; }

    public float* RowNormed { get; }

    public float* RowGradient { get; }

    public float* RowAttended { get; }

    public float* RowQuery { get; }

    public float* RowInverse { get; }
}
