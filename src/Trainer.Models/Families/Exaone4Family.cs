using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>EXAONE 4: norms on the blocks' outputs and on each head; where there is a window only the sliding layers have the rotary embedding.</summary>
internal static class Exaone4Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, new FamilyDefaults { KvHeadsRequired = true, Epsilon = 1e-5 })
            .WithLayers((layer, _) => layer with { Norms = Olmo2Family.PostNorms })
            .WithAttention(attention => attention with { QkNorm = QkNorm.PerHead });
        if (reader.PositiveOrNull("sliding_window") is not { } window) return config;
        return config.WithWindows(reader, window, Pattern(reader, config.LayerCount), fullRope: -1);
    }

    // A number n: each n-th layer is full. Letters: L slides, G is full, repeated. Without a word all layers but the last slide as in "LLLG".
    private static Func<int, bool> Pattern(ConfigReader reader, int layers)
    {
        if (!reader.IsText("sliding_window_pattern"))
        {
            var interval = reader.Int("sliding_window_pattern", 4);
            return l => interval > 0 && (l + 1) % interval != 0;
        }
        var letters = reader.Text("sliding_window_pattern")!;
        if (letters.Length == 0 || letters.Any(letter => letter is not ('L' or 'G')))
            throw reader.Fault("sliding_window_pattern", $"is '{letters}', it must be of L and G");
        return l => letters[l % letters.Length] == 'L' && l != layers - 1;
    }
}
