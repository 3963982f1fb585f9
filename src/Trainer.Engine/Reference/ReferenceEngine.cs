using TorchSharp;
using Trainer.Engine.Generation;
using Trainer.Engine.Layers.Experts;
using Trainer.Engine.Passes;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Engine.Reference;

/// <summary>
/// The engine that computes every family and variant with torch operators and autograd.
/// With gradient checkpointing the layers are visited forward without a graph keeping only each layer's input, then in reverse:
/// recompute one layer with a graph, run its backward pass, release it. Live memory is one layer's graph and the layer inputs.
/// Without it each layer's graph is kept until its backward pass.
/// </summary>
internal sealed class ReferenceEngine : IDecoderEngine
{
    private readonly LoadedDecoder _model;
    private readonly DecoderPass _pass;
    private readonly HeadLoss _loss;
    private readonly Device _device;

    public ReferenceEngine(LoadedDecoder model)
    {
        _model = model;
        _device = new Device(model.Options.Device);
        _pass = new DecoderPass(model, ComputeType(model.Options, _device));
        _loss = new HeadLoss(model, _pass);
    }

    public string Name => "reference";

    public string? Streaming => _model.Options.Stream
        ? string.Create(System.Globalization.CultureInfo.InvariantCulture,
            $"{_model.WeightBytes / (double)(1L << 30):0.0} GiB of weights read from mapped files, the pages of one layer of {_model.Layers.Count} in memory "
            + $"at a time")
        : null;

    /// <summary>The type of the frozen products.</summary>
    public static ScalarType ComputeType(ModelLoadOptions options, Device device) => options.Compute switch
    {
        ComputeKind.BFloat16 => ScalarType.BFloat16,
        ComputeKind.Auto when device.type != DeviceType.CPU => ScalarType.BFloat16,
        _ => ScalarType.Float32,
    };

    public LossResult ForwardBackward(TokenBatch batch, double lossScale, StepKey? key) => Pass.ForwardBackward(_model, batch, lossScale, key, Begin);

    public float[] TokenLosses(TokenBatch batch) => Pass.TokenLosses(_model, batch, Begin);

    public Tensor Logits(TokenBatch batch) => Pass.Logits(_model, batch, Begin);

    ITokenDecoder IDecoderEngine.Decoder() => new ReferenceDecoder(_model);

    /// <summary>Logits (parts, vocabulary) after the last token of each text's next ones, whose keys, values and states join those that are kept.</summary>
    public void Continue(IReadOnlyList<TextPart> parts, Span<float> logits)
    {
        var batch = TokenBatch.Continuation(parts);
        Pass.CheckIds(_model, batch);
        KvCache[] caches = [.. parts.Select(part => ((ReferenceDecoder)part.Text).Cache)];
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        using var stages = new ReferenceStages(_model, _pass, _loss, new BatchContext(_model.Config, batch, null, _device, caches), PassMode.Logits);
        Pass.Forward(_model, stages);
        for (var s = 0; s < caches.Length; s++) caches[s].Advance(parts[s].Tokens.Length);
        stages.LastLogits().to(CPU).contiguous().data<float>().CopyTo(logits);
    }

    public void Dispose()
    {
    }

    private ReferenceStages Begin(TokenBatch batch, PassMode mode, StepKey? key)
    {
        var balances = mode is PassMode.Recomputed or PassMode.Kept && batch.BalanceWeight > 0 && _model.Config.BalanceLoss > 0;
        var context = new BatchContext(_model.Config, batch, key,
            _device) { Balance = balances ? new RouterBalance(_model.Config.BalanceLoss, batch.BalanceWeight) : null };
        return new(_model, _pass, _loss, context, mode);
    }
}
