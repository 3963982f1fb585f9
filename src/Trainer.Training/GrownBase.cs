using Trainer.Adapters;
using Trainer.Checkpoints.Folders;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Vocabulary;
using Trainer.Models.Families;
using Trainer.Models.Lora;
using Trainer.Tokenizers;

namespace Trainer.Training;

/// <summary>The base that an adapter with new tokens belongs to: with rows for them, where the folder that is named has none.</summary>
public static class GrownBase
{
    /// <summary>The folder to load the adapter on: the base's own, or one with more tokens.</summary>
    /// <param name="model">The base's folder.</param>
    /// <param name="adapter">A PEFT adapter folder, or null.</param>
    /// <param name="cache">Where folders with more tokens lie.</param>
    /// <param name="making">Told the folder before it is made; null tells nobody.</param>
    /// <exception cref="AdapterException">The adapter has rows for tokens that neither the base nor the adapter's tokenizer knows, or not for all of
    /// them.</exception>
    public static string For(string model, string? adapter, string cache, Action<string>? making = null)
    {
        if (adapter is null || !File.Exists(Path.Combine(adapter, PeftFolder.ConfigFile)) || !File.Exists(Path.Combine(adapter, PeftFolder.WeightsFile))
            || !File.Exists(Path.Combine(model, "config.json"))) return model;
        var (spec, _) = PeftFolder.ReadSpec(adapter);
        var config = ConfigLoader.Load(model);
        var rows = Rows(spec, adapter);
        var text = TextFolders.Of(model, adapter).Tokenizer;
        // Rows that the table has already come from the adapter, texts of tokens from its tokenizer.
        if (rows <= config.VocabularySize) return model;
        string Told(string why) => $"adapter '{adapter}' has rows for {rows} tokens, the model '{model}' has {config.VocabularySize}, and {why}; pass the "
            + "base it was trained on, resized";
        if (text == model) throw new AdapterException(Told("the adapter brings no tokenizer that names the others"));
        var (own, other, tokens) = (HfTokenizer.Load(model), HfTokenizer.Load(text), new List<string>());
        for (var id = own.NextId; id < rows; id++)
        {
            var isTrained = IsTrained(spec, "embed_tokens", id) && (config.TiedEmbeddings || IsTrained(spec, "lm_head", id));
            if (!isTrained && id >= config.VocabularySize) throw new AdapterException(Told($"the row of token {id} is not among the adapter's"));
            tokens.Add(other.TokenOf(id) ?? throw new AdapterException(Told($"token {id} has no text in the adapter's tokenizer")));
        }
        return GrownFolder.Of(model, tokens, cache, making).Folder;
    }

    // Rows that the adapter needs its base's tables to have.
    private static long Rows(LoraSpec spec, string adapter)
    {
        var named = spec.TokenRows.SelectMany(pair => pair.Value).DefaultIfEmpty(-1).Max() + 1L;
        if (!spec.ModulesToSave.Any(IsTable)) return named;
        using var file = PeftFolder.Open(adapter);
        return file.Entries.Where(entry => IsTableWeight(entry.Name) && entry.Shape.Length == 2).Select(entry => entry.Shape[0]).Append(named).Max();
    }

    private static bool IsTable(string name) => EndsWith(name, "embed_tokens") || EndsWith(name, "lm_head");

    private static bool IsTableWeight(string tensor)
        => tensor.EndsWith(".embed_tokens.weight", StringComparison.Ordinal) || tensor.EndsWith(".lm_head.weight", StringComparison.Ordinal);

    private static bool EndsWith(string path, string name) => path == name || path.EndsWith("." + name, StringComparison.Ordinal);

    private static bool IsTrained(LoraSpec spec, string table, int id) =>
        spec.ModulesToSave.Any(name => IsTable(name) && EndsWith(name, table))
        || spec.TokenRows.Any(pair => EndsWith(pair.Key, table) && pair.Value.Contains(id));
}
