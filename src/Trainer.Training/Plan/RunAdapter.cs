using Trainer.Adapters;
using Trainer.Models.Config;
using Trainer.Models.Drawing;
using Trainer.Models.Lora;

namespace Trainer.Training.Plan;

/// <summary>What a run trains, from its options and the config.json of its model.</summary>
internal static class RunAdapter
{
    /// <exception cref="AdapterOptionException">The options fit no adapter of this model.</exception>
    /// <exception cref="AdapterException">The adapter folder is broken, or of another base.</exception>
    public static AdapterBlueprint Of(TrainingOptions options, ModelConfig config)
    {
        var decoder = DecoderBlueprint.Of(config);
        if (options.Lora.TextClass && config.WrapperType is null)
            throw new AdapterOptionException($"--adapter-for-text-class: '{options.Model}' is of class '{config.ModelType}' and has no other; leave the "
                + "option out");
        if (options.AdapterDirectory is not { } folder) return AdapterBlueprint.Fresh(decoder, Shape(options, decoder));
        var (blueprint, spec, _) = PeftFolder.Draw(decoder, options.ModelDirectory, folder, options.Lora.Dropout);
        if (spec is { IsDoubled: true, Dropout: > 0 })
            throw new AdapterException($"adapter '{folder}' begins in the base's own directions (init_lora_weights), and "
                + $"--lora-dropout {spec.Dropout} would drop parts of the base; leave it at 0");
        return !spec.IsBFixed ? blueprint
            : throw new AdapterException($"adapter '{folder}' was made by MiCA, which trains A alone and keeps B: going on here would train both; continue it "
                + "with PEFT, or begin a fresh adapter");
    }

    /// <summary>The shape of a run's fresh adapter; where the rows will decide it, the largest that it may get.</summary>
    public static LoraSpec Shape(TrainingOptions options, DecoderBlueprint decoder)
    {
        var asked = SpecOf(options.Lora, decoder.Config.LayerCount);
        return asked.Init == AdapterInit.Eva ? EvaRanks.Largest(decoder, asked, options.Lora.EvaRho) : asked;
    }

    /// <summary>The shape that the options ask for, in a model of so many layers.</summary>
    public static LoraSpec SpecOf(LoraOptions lora, int layers)
    {
        var spec = Plain(lora, layers);
        return spec.IsDoubled ? spec.Doubled() : spec;
    }

    private static LoraSpec Plain(LoraOptions lora, int layers) => new()
    {
        Rank = lora.Rank,
        Alpha = lora.EffectiveAlpha,
        Dropout = lora.Dropout,
        Targets = TargetModules.Parse(lora.TargetModules),
        TargetParameters = lora.TargetParameters,
        LayersToTransform = lora.LayersToTransform
            ?? (lora.Layers is { } last ? [.. Enumerable.Range(Math.Max(0, layers - last), Math.Min(last, layers))] : null),
        UseRslora = lora.UseRslora,
        UseDora = lora.UseDora,
        LoraBias = lora.LoraBias,
        Bias = lora.Bias,
        RankPattern = [.. lora.RankPattern],
        AlphaPattern = [.. lora.AlphaPattern],
        ModulesToSave = lora.ModulesToSave,
        Exclude = lora.ExcludeModules.Count == 0 ? null : TargetModules.Parse(lora.ExcludeModules),
        TokenRows =
        [
            .. lora.TrainableTokenIndices.Count == 0
                ? [] : (KeyValuePair<string, IReadOnlyList<int>>[])[KeyValuePair.Create("embed_tokens", lora.TrainableTokenIndices)],
            .. lora.TrainableHeadIndices.Count == 0 ? []
                : (KeyValuePair<string, IReadOnlyList<int>>[])[KeyValuePair.Create("lm_head", lora.TrainableHeadIndices)],
        ],
        Init = lora.Init,
        UsesTextClass = lora.TextClass,
    };
}
