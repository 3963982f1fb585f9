using Trainer.Engine.Fast.Experts;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Models.Config;

namespace Trainer.Engine.Fast;

/// <summary>One pass of the hand-written engine as a value: the batch, its memory, and what is to be computed of it.</summary>
internal sealed class FastPass
{
    private readonly FastShape _shape;
    private readonly LayerState?[] _states;

    /// <summary>Lays a pass over memory and fills the batch's tables.</summary>
    /// <param name="config">The model.</param>
    /// <param name="batch">The tokens.</param>
    /// <param name="kernels">What computes.</param>
    /// <param name="memory">The buffers.</param>
    /// <param name="key">Seeds the dropout masks; null computes without dropout.</param>
    public FastPass(ModelConfig config, TokenBatch batch, IKernels kernels, PassMemory memory, StepKey? key)
    {
        Key = key;
        (_shape, Memory) = (new FastShape(config), memory);
        Batch = new FastBatch(kernels, memory, config, batch);
        Buffers = new FastBuffers(Memory, _shape);
        _states = new LayerState?[_shape.Layers];
        if (Memory.FloatsOrNone(BufferId.Ones) is { IsNone: false } ones) kernels.Fill(ones, batch.Length, 1f);
    }

    public PassLayout Layout => Memory.Layout;

    public PassMemory Memory { get; }

    public FastBatch Batch { get; }

    public FastBuffers Buffers { get; }

    /// <summary>Seeds the dropout masks; null computes without dropout.</summary>
    public StepKey? Key { get; private set; }

    /// <summary>Where the batch continues texts: keys and values of each segment's so far, and these join them. Null where it begins its texts.</summary>
    public KeyValues[]? Past { get; init; }

    /// <summary>The routers' term of the loss, or null where there is none.</summary>
    public FastBalance? Balance { get; init; }

    /// <summary>The same pass for rows of which others came before: the head takes its rows in chunks, which must not share a dropout mask.</summary>
    public FastPass FromRow(long row)
    {
        var part = (FastPass)MemberwiseClone();
        part.Key = Key is { } key ? key with { FirstRow = row } : null;
        return part;
    }

    /// <summary>What a layer keeps.</summary>
    public LayerState State(int layer) => _states[layer] ??= new LayerState(Memory, _shape, layer);

    /// <summary>What the adapter of a linear beside the layers keeps.</summary>
    public AdapterState Shared(LinearModule linear) => AdapterState.Of(Memory, -1, linear);

    /// <summary>Input of a layer (T, hidden); the last is the stack's output.</summary>
    public Place Input(int layer) => Memory.FloatsOrNone(BufferId.Input, layer) is { IsNone: false } own
        ? own : Memory.Floats(layer % 2 == 0 ? BufferId.EvenInput : BufferId.OddInput);
}
