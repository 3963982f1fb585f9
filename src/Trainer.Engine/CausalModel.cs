using TorchSharp;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Config;
using Trainer.Models.Drawing;
using Trainer.Models.Families;
using Trainer.Models.Parts;

namespace Trainer.Engine;

/// <summary>A causal language model with a frozen base and, once attached, trainable parameters. Not thread-safe.</summary>
public sealed class CausalModel : LoadedDecoder
{
    private IDecoderEngine? _engine;

    private CausalModel(string folder, ModelConfig config, ModelLoadOptions options, WeightFiles files) : base(folder, config, options, files) { }

    /// <summary>The engine that computes; made at first use.</summary>
    public IDecoderEngine Engine => _engine ??= EngineSelection.Create(this);

    /// <summary>Why the reference engine computes this model with its present adapter though the processor's fast one might have been chosen, in words; null
    /// where it does not.</summary>
    public string? Fallback => EngineSelection.Fallback(this);

    /// <summary>Loads a Hugging Face model folder through memory mapping.</summary>
    /// <param name="folder">Folder with config.json and safetensors files.</param>
    /// <param name="options">How to hold and compute it; null takes the defaults.</param>
    /// <param name="progress">Called with bytes done and bytes in all.</param>
    /// <exception cref="ModelException">Anything wrong with the folder, by name of file, key or tensor.</exception>
    public static CausalModel Load(string folder, ModelLoadOptions? options = null, Action<long, long>? progress = null)
    {
        var config = ConfigLoader.Load(folder);
        var files = new WeightFiles(folder, config, progress);
        try
        {
            // A multimodal folder that holds a head of its own uses it, whatever its config says.
            var (head, table) = ("lm_head.weight", $"{config.TextPath}.{config.EmbeddingName}.weight");
            if (config is { TiedEmbeddings: true, WrapperType: not null } && files.Has(head) && files.Has(table) && !files.AreSame(head, table))
                config = config with { TiedEmbeddings = false };
            var model = new CausalModel(folder, config, options ?? new ModelLoadOptions(), files);
            // What was looked over while loading need not stay.
            if (model.Options.Stream) model.DropPages();
            if (!model.Options.TrainAllWeights) return model;
            if (model.Blueprint.Modules.FirstOrDefault(module => module.Kind is ModuleKind.Parameter or ModuleKind.Experts
                || (module.Kind == ModuleKind.Embedding && module != model.Blueprint.Embedding)) is { } fixedModule)
                throw new ModelException($"model '{folder}': '{fixedModule.Path}' cannot be trained, so not all weights can; train an adapter");
            model.Attach(AdapterBlueprint.Whole(model.Blueprint));
            model.CopyBase();
            return model;
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    /// <summary>Lets the engine's buffers go; the next use makes them anew.</summary>
    public override void ReleaseBuffers()
    {
        _engine?.Dispose();
        _engine = null;
    }

    /// <summary>Settles the compute type; an engine in use is released.</summary>
    /// <param name="kind">Type of the frozen products.</param>
    public void ComputeIn(ComputeKind kind)
    {
        ReleaseBuffers();
        Options = Options with { Compute = kind };
    }

    /// <summary>Adds the gradient of <paramref name="lossScale"/> x sum over tokens of weight x token loss to the parameter buffer.</summary>
    /// <param name="batch">T tokens.</param>
    /// <param name="lossScale">Multiplier of the gradient (1 / trained tokens of the whole step); the returned sum is not scaled.</param>
    /// <param name="key">Where the run stands, for dropout; needed where an adapter has dropout.</param>
    public LossResult ForwardBackward(TokenBatch batch, double lossScale, StepKey? key = null)
    {
        RequireKey(key);
        return Engine.ForwardBackward(batch, lossScale, key);
    }

    /// <summary>The same for several batches, with the bits of one after another; where the base is streamed each layer is read once for all of them.</summary>
    /// <param name="batches">The batches.</param>
    /// <param name="lossScale">Multiplier of the gradients.</param>
    /// <param name="keys">Where each stands in the run.</param>
    public IReadOnlyList<LossResult> ForwardBackward(IReadOnlyList<TokenBatch> batches, double lossScale, IReadOnlyList<StepKey?> keys)
    {
        ArgumentNullException.ThrowIfNull(batches);
        ArgumentNullException.ThrowIfNull(keys);
        foreach (var key in keys) RequireKey(key);
        return Engine.ForwardBackward(batches, lossScale, keys);
    }

    private void RequireKey(StepKey? key)
    {
        if (key is null && (Linears.Any(linear => linear.Adapter is { Dropout: > 0 })
            || Experts.Any(experts => experts.OwnAdapters.Any(adapter => adapter.Dropout > 0))))
                throw new ArgumentNullException(nameof(key), "an adapter has dropout");
    }

    /// <summary>Unweighted loss of each token (nats), length T, 0 where the target is ignored. No dropout.</summary>
    /// <param name="batch">T tokens.</param>
    public float[] TokenLosses(TokenBatch batch) => Engine.TokenLosses(batch);

    /// <summary>Logits [T, vocabulary], float32. The caller disposes it.</summary>
    /// <param name="batch">T tokens.</param>
    public torch.Tensor Logits(TokenBatch batch) => Engine.Logits(batch);

    /// <inheritdoc/>
    public override void Dispose()
    {
        _engine?.Dispose();
        base.Dispose();
    }
}
