using System.Text.Json;
using Trainer.Checkpoints;

namespace Trainer.Cli.Options;

/// <summary>How many positions a model was trained on: what the sequence length falls back to where the user names none.</summary>
internal static class ModelPositions
{
    /// <summary><c>max_position_embeddings</c> of the folder's config.json, or null where it says nothing readable (loading the model tells why).</summary>
    public static int? Of(string folder)
    {
        try
        {
            using var config = PythonJson.Parse(File.ReadAllBytes(Path.Combine(folder, "config.json")));
            var found = config.RootElement.TryGetProperty("max_position_embeddings", out var positions) && positions.ValueKind == JsonValueKind.Number;
            return found && positions.TryGetInt32(out var count) && count >= 2 ? count : null;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or JsonException or InvalidOperationException)
        {
            return null;
        }
    }
}
