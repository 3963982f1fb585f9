using Trainer.Models;
using Trainer.Models.Families;

namespace Trainer.Cli.Options;

/// <summary>How many positions a model was trained on: what the sequence length falls back to where the user names none.</summary>
internal static class ModelPositions
{
    /// <summary>The positions of the folder's config.json, or null where it says nothing readable (loading the model tells why).</summary>
    public static int? Of(string folder)
    {
        try
        {
            return ConfigLoader.Load(folder).Positions is >= 2 and var count ? count : null;
        }
        catch (ModelException)
        {
            return null;
        }
    }
}
