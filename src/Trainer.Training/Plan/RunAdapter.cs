using Trainer.Adapters;
using Trainer.Models;
using Trainer.Models.Drawing;

namespace Trainer.Training;

/// <summary>What a run trains, from its options and the config.json of its model.</summary>
internal static class RunAdapter
{
    /// <exception cref="AdapterOptionException">The options fit no adapter of this model.</exception>
    /// <exception cref="AdapterException">The adapter folder is broken, or of another base.</exception>
    public static AdapterBlueprint Of(TrainingOptions options, ModelConfig config)
    {
        var decoder = DecoderBlueprint.Of(config);
        if (options.Lora.TextClass && config.WrapperType is null)
            throw new AdapterOptionException($"--adapter-for-text-class: '{options.Model}' is of class '{config.ModelType}' and has no other; leave the option out");
        if (options.AdapterDirectory is not { } folder) return AdapterBlueprint.Fresh(decoder, Shape(options, decoder));
        var (blueprint, spec, _) = PeftFolder.Draw(decoder, options.ModelDirectory, folder, options.Lora.Dropout);
        if (spec is { IsDoubled: true, Dropout: > 0 })
            throw new AdapterException($"adapter '{folder}' begins in the base's own directions (init_lora_weights), and --lora-dropout {spec.Dropout} would drop parts of the base; leave it at 0");
        return !spec.IsBFixed ? blueprint
            : throw new AdapterException($"adapter '{folder}' was made by MiCA, which trains A alone and keeps B: going on here would train both; continue it with PEFT, or begin a fresh adapter");
    }

    /// <summary>The shape of a run's fresh adapter; where the rows will decide it, the largest that it may get.</summary>
    public static LoraSpec Shape(TrainingOptions options, DecoderBlueprint decoder)
    {
        var asked = AdaptedModel.SpecOf(options.Lora, decoder.Config.LayerCount);
        return asked.Init == AdapterInit.Eva ? EvaRanks.Largest(decoder, asked, options.Lora.EvaRho) : asked;
    }
}
