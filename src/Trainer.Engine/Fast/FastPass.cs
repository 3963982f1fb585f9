namespace Trainer.Engine.Fast;

/// <summary>One pass of the hand-written engine as a value: the batch, its memory, and what is to be computed of it.</summary>
internal sealed unsafe class FastPass
{
    private readonly FastShape _shape;
    private readonly LayerState?[] _states;

    /// <summary>Lays a pass over memory and fills the batch's tables.</summary>
    /// <param name="config">The model.</param>
    /// <param name="batch">The tokens.</param>
    /// <param name="layout">The buffers.</param>
    /// <param name="block">Room for them.</param>
    /// <param name="key">Seeds the dropout masks; null computes without dropout.</param>
    public FastPass(ModelConfig config, TokenBatch batch, PassLayout layout, byte* block, StepKey? key)
    {
        Key = key;
        (_shape, Layout, Memory) = (new FastShape(config), layout, new PassMemory(layout, block));
        Batch = new FastBatch(Memory, config, batch, (int)layout.LossRows);
        Buffers = new FastBuffers(Memory, _shape);
        _states = new LayerState?[_shape.Layers];
        if (Memory.FloatsOrNull(BufferId.Ones) is var ones && ones != null) new Span<float>(ones, batch.Length).Fill(1f);
    }

    public PassLayout Layout { get; }

    public PassMemory Memory { get; }

    public FastBatch Batch { get; }

    public FastBuffers Buffers { get; }

    /// <summary>Seeds the dropout masks; null computes without dropout.</summary>
    public StepKey? Key { get; private set; }

    /// <summary>Where the batch continues a text: keys and values so far, and these join them. Null where it begins its texts.</summary>
    public KeyValues? Past { get; init; }

    /// <summary>The same pass for rows of which others came before: the head takes its rows in chunks, which must not share a dropout mask.</summary>
    public FastPass FromRow(long row)
    {
        var part = (FastPass)MemberwiseClone();
        part.Key = Key is { } key ? key with { FirstRow = row } : null;
        return part;
    }

    /// <summary>What a layer keeps.</summary>
    public LayerState State(int layer) => _states[layer] ??= new LayerState(Memory, _shape, layer);

    /// <summary>Input of a layer (T, hidden); the last is the stack's output.</summary>
    public float* Input(int layer) => Memory.FloatsOrNull(BufferId.Input, layer) is var own && own != null ? own : Memory.Floats(layer % 2 == 0 ? BufferId.EvenInput : BufferId.OddInput);
}
