using System.Text;
using Trainer.Engine.Vocabulary;
using Trainer.Models;
using Trainer.Models.Families;

namespace Trainer.Training;

/// <summary>Makes a run's base one with more tokens, where the run or the adapter that it continues has such.</summary>
public static class NewTokens
{
    private const int LongestToken = 1000;

    /// <summary>The folder of bases with more tokens.</summary>
    public static string Cache => Path.Combine(UserCache.Folder, "grown");

    /// <summary>The run with its base's folder and the rows that are trained for the new tokens.</summary>
    /// <param name="options">The run.</param>
    /// <param name="note">Hears what was done.</param>
    /// <exception cref="OptionException">The file of tokens is not one.</exception>
    /// <exception cref="ModelException">The base's tables cannot grow.</exception>
    public static TrainingOptions Apply(TrainingOptions options, Action<string> note)
    {
        ArgumentNullException.ThrowIfNull(options);
        void Making(string folder) => note($"the base gets rows for new tokens in a folder of its own, '{folder}'");
        if (options.AdapterDirectory is { } adapter) return options with { ModelDirectory = GrownBase.For(options.ModelDirectory, adapter, Cache, Making) };
        if (options.Lora.AddTokens is not { } file) return options;
        var texts = Read(file);
        var rows = ConfigLoader.Load(options.ModelDirectory).VocabularySize;
        var (folder, ids) = GrownFolder.Of(options.ModelDirectory, texts, Cache, Making);
        var config = ConfigLoader.Load(folder);
        if (config.VocabularySize > rows)
            note($"{ids.Count} tokens of '{file}' (ids {ids.Min()} to {ids.Max()}): the tables grow from {rows} to {config.VocabularySize} rows; before PEFT "
                + $"loads the adapter, the base needs resize_token_embeddings({config.VocabularySize})");
        var lora = options.Lora;
        // A table that is trained whole has the new rows in it.
        if (!IsSaved(lora, "embed_tokens")) lora = lora with { TrainableTokenIndices = [.. lora.TrainableTokenIndices.Union(ids)] };
        if (!config.TiedEmbeddings && !IsSaved(lora, "lm_head")) lora = lora with { TrainableHeadIndices = ids };
        return options with { ModelDirectory = folder, Lora = lora };
    }

    private static bool IsSaved(LoraOptions lora, string table)
        => lora.ModulesToSave.Any(name => name == table || name.EndsWith("." + table, StringComparison.Ordinal));

    private static List<string> Read(string file)
    {
        string[] lines;
        try
        {
            Checkpoints.Atomic.SmallFile.Require(file);
            lines = File.ReadAllLines(file, new UTF8Encoding(false, throwOnInvalidBytes: true));
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new OptionException($"--add-tokens '{file}' cannot be read: {fault.Message.TrimEnd('.')}; give a UTF-8 text file with one token a line");
        }
        var places = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < lines.Length; i++)
        {
            var text = lines[i];
            if (text.Length == 0) continue;
            if (string.IsNullOrWhiteSpace(text) || text.Length > LongestToken || text.Any(char.IsControl))
                throw new OptionException($"--add-tokens '{file}', line {i + 1}: no token is blank, longer than {LongestToken} characters or holds control "
                    + "characters; take the line out");
            if (!places.TryAdd(text, i + 1))
                throw new OptionException($"--add-tokens '{file}', line {i + 1}: '{text}' stands in line {places[text]} already; take one out");
        }
        return places.Count > 0 ? [.. places.Keys] : throw new OptionException($"--add-tokens '{file}' holds no token; write one a line");
    }
}
