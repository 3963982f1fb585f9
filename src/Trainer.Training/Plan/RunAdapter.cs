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
        return options.AdapterDirectory is { } folder
            ? PeftFolder.Draw(decoder, options.ModelDirectory, folder, options.Lora.Dropout).Blueprint
            : AdapterBlueprint.Fresh(decoder, AdaptedModel.SpecOf(options.Lora, config.LayerCount));
    }
}
