using Trainer.Engine.Layers;
using Trainer.Engine.Layers.PerLayer;
using Trainer.Engine.Layers.Streams;
using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine;

/// <summary>The modules of one layer, by their roles; a fused family has <see cref="Qkv"/> and <see cref="GateUp"/> in place of the separate ones.</summary>
public sealed class DecoderLayer
{
    internal DecoderLayer(int index, ModelConfig model, LayerModules modules)
    {
        var config = model.Layers[index];
        (Index, Config, Modules) = (index, config, modules);
        (Qkv, Query, Key, Value) = (modules.Linear(ModuleRole.Qkv), modules.Linear(ModuleRole.Query), modules.Linear(ModuleRole.Key),
            modules.Linear(ModuleRole.Value));
        (GateUp, Gate, Up) = (modules.Linear(ModuleRole.GateUp), modules.Linear(ModuleRole.Gate), modules.Linear(ModuleRole.Up));
        (Output, Down) = (modules.Linear(ModuleRole.Output)!, modules.Linear(ModuleRole.Down)!);
        (BeforeAttention, AfterAttention) = (modules.Norm(ModuleRole.BeforeAttention), modules.Norm(ModuleRole.AfterAttention));
        (BeforeMlp, AfterMlp) = (modules.Norm(ModuleRole.BeforeMlp), modules.Norm(ModuleRole.AfterMlp));
        (QueryNorm, KeyNorm) = (modules.Norm(ModuleRole.QueryNorm), modules.Norm(ModuleRole.KeyNorm));
        (Mixer, FeedForward) = (LayerParts.Mixer(config, modules, index), LayerParts.FeedForward(config, modules));
        if (model.PerLayerInput is not null) PerLayer = new PerLayerStep(modules, index, model.Activation);
        if (model.Streams is { } streams) Streams = new StreamsJoin(streams, modules, Mixer!, FeedForward!, PerLayer!);
    }

    /// <summary>Zero-based position.</summary>
    public int Index { get; }

    /// <summary>What differs from layer to layer.</summary>
    public LayerConfig Config { get; }

    /// <summary>The linears in the order PEFT visits them.</summary>
    public IReadOnlyList<LinearModule> Linears => Modules.Linears;

    /// <summary>The norms.</summary>
    public IReadOnlyList<NormModule> Norms => Modules.Norms;

    /// <summary>Small tensors that are never trained.</summary>
    public IReadOnlyList<ParameterModule> Parameters => Modules.Parameters;

    /// <summary>Queries, keys and values in one matrix, in this order, or null.</summary>
    public LinearModule? Qkv { get; }

    /// <summary>Queries.</summary>
    public LinearModule? Query { get; }

    /// <summary>Keys.</summary>
    public LinearModule? Key { get; }

    /// <summary>Values.</summary>
    public LinearModule? Value { get; }

    /// <summary>Attention output; only to be asked for where the layer attends.</summary>
    public LinearModule Output { get; }

    /// <summary>Gate and up in one matrix, in this order, or null.</summary>
    public LinearModule? GateUp { get; }

    /// <summary>Gate.</summary>
    public LinearModule? Gate { get; }

    /// <summary>Up.</summary>
    public LinearModule? Up { get; }

    /// <summary>Down; only to be asked for where the layer has one dense block.</summary>
    public LinearModule Down { get; }

    /// <summary>Norm on the input of attention, or null.</summary>
    public NormModule? BeforeAttention { get; }

    /// <summary>Norm on the output of attention, or null.</summary>
    public NormModule? AfterAttention { get; }

    /// <summary>Norm on the input of the feed-forward block, or null.</summary>
    public NormModule? BeforeMlp { get; }

    /// <summary>Norm on its output, or null.</summary>
    public NormModule? AfterMlp { get; }

    /// <summary>Norm on queries, or null.</summary>
    public NormModule? QueryNorm { get; }

    /// <summary>Norm on keys, or null.</summary>
    public NormModule? KeyNorm { get; }

    /// <summary>The matrices of its experts, or null.</summary>
    public ExpertsModule? Experts => Modules.Experts;

    /// <summary>What it makes of its small input, or null.</summary>
    internal PerLayerStep? PerLayer { get; }

    /// <summary>How it joins several streams, or null where there is one.</summary>
    internal StreamsJoin? Streams { get; }

    internal LayerModules Modules { get; }

    /// <summary>What carries information from token to token, or null where the layer is a feed-forward block alone.</summary>
    internal ITokenMixer? Mixer { get; }

    /// <summary>What computes each token for itself, or null where the layer is a mixer alone.</summary>
    internal IFeedForward? FeedForward { get; }
}
