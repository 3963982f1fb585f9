using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>Mistral: Llama with one sliding window in every layer (or none).</summary>
internal static class MistralFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, new FamilyDefaults { KvHeadsRequired = true });
        var window = reader.PositiveOrNull("sliding_window");
        return config.WithWindows(reader, window, _ => window is not null);
    }
}
