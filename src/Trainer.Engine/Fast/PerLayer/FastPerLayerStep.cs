using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Models.Config;

namespace Trainer.Engine.Fast.PerLayer;

/// <summary>What a layer makes of its small input by hand, behind its other parts.</summary>
/// <remarks>
/// <code>
/// out = h + norm(W (act(G h) u))        u: the layer's small input (T, size)
/// </code>
/// </remarks>
internal sealed class FastPerLayerStep(DecoderLayer layer, ModelConfig config, IKernels kernels, FastLinear linear, FastNorm norms)
{
    private readonly LinearModule _gate = layer.Modules.Linear("per_layer_input_gate"), _projection = layer.Modules.Linear("per_layer_projection");
    private readonly NormModule _norm = layer.Modules.Norm("post_per_layer_input_norm");
    private readonly int _hidden = config.HiddenSize, _size = config.PerLayerInput!.Size, _width = config.PerLayerInput.Size * config.LayerCount;
    private readonly GateShape _shape = GateShape.Of(config.Activation, isGated: true, config.PerLayerInput.Size, config.PerLayerInput.Size);

    /// <summary>Adds the step to what the layer's other parts made, and keeps what the backward pass needs.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="state">What the layer keeps; h lies there.</param>
    /// <param name="rows">Rows of h.</param>
    /// <param name="subset">Whether these are not all.</param>
    /// <param name="output">(rows, hidden), or none.</param>
    public void Forward(FastPass pass, LayerState state, long rows, bool subset, Place output)
    {
        Place x = state.Own(BufferId.StepInput), gate = state.Own(BufferId.StepGate), raw = state.Own(BufferId.RawStep), delta = pass.Buffers.Delta;
        linear.Forward(pass, _gate, x, rows, gate, _size, state.Of(_gate));
        linear.Forward(pass, _projection, Gated(pass, gate, Small(pass, rows, subset), rows), rows, raw, _hidden, state.Of(_projection));
        norms.Forward(_norm, raw, delta, state.Own(BufferId.StepInverse), _hidden, rows);
        if (!output.IsNone) kernels.AddScaled(x, delta, 1f, output, rows * _hidden);
    }

    /// <summary>Adds the parameters' gradients, writes that of the small input, and adds that of h to the gradient of the output (rows, hidden).</summary>
    public void Backward(FastPass pass, LayerState state, Place upper, long rows, bool subset)
    {
        Place x = state.Own(BufferId.StepInput), gate = state.Own(BufferId.StepGate), delta = pass.Buffers.Delta,
            gradient = pass.Memory.Floats(BufferId.StepActivatedGradient), small = Small(pass, rows, subset);
        norms.Backward(_norm, state.Own(BufferId.RawStep), state.Own(BufferId.StepInverse), upper, default, delta, _hidden, rows);
        linear.Backward(pass, _projection, Gated(pass, gate, small, rows), rows, delta, _hidden, gradient, false, state.Of(_projection));
        // The gate and the small input become their own gradients.
        kernels.GateBackward(_shape, gate, small, gradient, rows);
        linear.Backward(pass, _gate, x, rows, gate, _size, upper, true, state.Of(_gate));
        if (pass.Memory.FloatsOrNone(BufferId.SmallInputGradients) is not { IsNone: false } all) return;
        var tokens = pass.Batch.Tokens;
        var own = small;
        if (subset) kernels.Scatter(small, pass.Batch.LossRows, rows, _size, own = pass.Memory.Floats(BufferId.StepSmall), tokens);
        kernels.Copy(own, _size, all + (long)layer.Index * _size, _width, _size, tokens);
    }

    private Place Gated(FastPass pass, Place gate, Place small, long rows)
    {
        var activated = pass.Memory.Floats(BufferId.StepActivated);
        kernels.Gate(_shape, gate, small, activated, rows);
        return activated;
    }

    // The layer's small inputs by themselves, of the rows that are asked for.
    private Place Small(FastPass pass, long rows, bool subset)
    {
        var small = pass.Memory.Floats(BufferId.StepSmall);
        kernels.Copy(pass.Memory.Floats(BufferId.SmallInputs) + (long)layer.Index * _size, _width, small, _size, _size, pass.Batch.Tokens);
        if (!subset) return small;
        var chosen = pass.Memory.Floats(BufferId.StepRows);
        kernels.Gather(small, pass.Batch.LossRows, rows, _size, chosen);
        return chosen;
    }
}
