namespace Trainer.Engine.Fast;

/// <summary>All memory of a pass, cut from one arena: layer inputs, what layers keep, and scratch that layers share.</summary>
/// <remarks>Cut in the same way from a counting arena, so the bytes of a pass are known before it (<see cref="FastEngine.BytesFor"/>).</remarks>
internal sealed unsafe class FastBuffers
{
    private readonly IntPtr[] _inputs;
    private readonly LayerState[] _states;

    /// <summary>Cuts everything for one batch.</summary>
    /// <param name="arena">Where from.</param>
    /// <param name="model">The model.</param>
    /// <param name="shape">Its sizes.</param>
    /// <param name="mode">What the pass is for.</param>
    /// <param name="tokens">T.</param>
    /// <param name="lossRows">Rows that carry loss.</param>
    /// <param name="lowest">First layer whose backward pass runs.</param>
    public FastBuffers(Arena arena, CausalModel model, FastShape shape, PassMode mode, long tokens, long lossRows, int lowest)
    {
        long hidden = shape.Hidden, query = shape.Query;
        var adapters = Adapters(model);
        var forwardOnly = mode == PassMode.Forward;
        _inputs = new IntPtr[shape.Layers + 1];
        IntPtr even = (IntPtr)arena.Floats(tokens * hidden), odd = (IntPtr)arena.Floats(tokens * hidden);
        for (var l = 0; l <= shape.Layers; l++)
        {
            // Inputs at and above the lowest trained layer are needed again; others take turns.
            var kept = !forwardOnly && l >= lowest && l < shape.Layers;
            _inputs[l] = kept ? (IntPtr)arena.Floats(tokens * hidden) : l % 2 == 0 ? even : odd;
        }
        _states = new LayerState[shape.Layers];
        LayerState? shared = null;
        for (var l = 0; l < shape.Layers; l++)
        {
            var own = mode == PassMode.Kept && l >= lowest;
            _states[l] = own ? new LayerState(arena, shape, tokens, adapters) : shared ??= new LayerState(arena, shape, tokens, adapters);
        }
        Normed = arena.Floats(tokens * hidden);
        Delta = arena.Floats(tokens * hidden);
        Activated = arena.Floats(tokens * shape.Wide);
        var backward = forwardOnly ? 0 : 1;
        ActivatedGradient = arena.Floats(backward * tokens * shape.Wide);
        AttendedGradient = arena.Floats(backward * tokens * query);
        QueryGradient = arena.Floats(backward * tokens * shape.QueryStride);
        KeyGradient = shape.Fused ? QueryGradient + query : arena.Floats(backward * tokens * shape.Kv);
        ValueGradient = shape.Fused ? KeyGradient + shape.Kv : arena.Floats(backward * tokens * shape.Kv);
        Gradient = arena.Floats(backward * tokens * hidden);
        RowInput = arena.Floats(lossRows * hidden);
        RowOutput = arena.Floats(lossRows * hidden);
        RowNormed = arena.Floats(lossRows * hidden);
        RowGradient = arena.Floats(lossRows * hidden);
        RowAttended = arena.Floats(lossRows * query);
        RowQuery = arena.Floats(lossRows * query);
        RowInverse = arena.Floats(lossRows);
    }

    /// <summary>Input of a layer (T, hidden); the last is the stack's output.</summary>
    public float* Input(int layer) => (float*)_inputs[layer];

    public LayerState State(int layer) => _states[layer];

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

    // The largest of all layers, role by role.
    private static Dictionary<ModuleRole, AdapterSize> Adapters(CausalModel model)
    {
        var sizes = new Dictionary<ModuleRole, AdapterSize>();
        foreach (var linear in model.Linears)
        {
            var size = sizes.GetValueOrDefault(linear.Blueprint.Role);
            var magnitudes = linear.Adapter?.Magnitude is null ? 0 : linear.OutFeatures;
            sizes[linear.Blueprint.Role] = new AdapterSize(Math.Max(size.Rank, linear.Adapter?.Rank ?? 0), Math.Max(size.Magnitudes, magnitudes));
        }
        return sizes;
    }
}
