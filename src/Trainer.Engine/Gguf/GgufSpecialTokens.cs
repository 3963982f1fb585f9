using Trainer.Checkpoints;
using Trainer.Checkpoints.Gguf;
using Trainer.Models.Config;
using Trainer.Tokenizers;

namespace Trainer.Engine.Gguf;

/// <summary>Which tokens begin and end a text, as GGUF metadata: what this program's own tokenizer does, whatever file of the folder made it so.</summary>
internal static class GgufSpecialTokens
{
    /// <summary>The keys tokenizer.ggml.*_token_id and tokenizer.ggml.add_*_token.</summary>
    /// <param name="folder">The model folder.</param>
    /// <param name="config">The model; its ids stand in where no tokenizer file names one, as in llama.cpp's converter.</param>
    /// <exception cref="TokenizerException">The tokenizer cannot be read.</exception>
    /// <exception cref="BadFileException">It puts tokens around a text that llama.cpp cannot.</exception>
    public static IEnumerable<KeyValuePair<string, GgufValue>> Of(string folder, ModelConfig config)
    {
        var tokenizer = HfTokenizer.Load(folder);
        const string Sample = "a";
        int[] around = tokenizer.Encode(Sample, addSpecialTokens: true).Ids, alone = tokenizer.Encode(Sample, addSpecialTokens: false).Ids;
        var begins = around.AsSpan().IndexOf(alone);
        int? before = begins == 1 ? around[0] : null, after = around.Length == begins + alone.Length + 1 ? around[^1] : null;
        if (begins is not (0 or 1) || around.Length > begins + alone.Length + 1)
            throw new BadFileException($"the tokenizer of '{folder}' puts {around.Length - alone.Length} tokens around a text, llama.cpp at most one on each "
                + "side; export the adapter alone and convert the base with llama.cpp");
        // Where a token is added, it is that one; else the one that is named.
        (string Name, int? Id)[] roles =
        [
            ("bos", before ?? tokenizer.BosId ?? config.BosId), ("eos", after ?? tokenizer.EosId ?? (config.EosIds.Count > 0 ? config.EosIds[0] : null)),
            ("unknown", tokenizer.UnkId), ("padding", tokenizer.PadId),
        ];
        foreach (var (name, id) in roles)
            if (id >= 0 && id < config.VocabularySize) yield return new($"tokenizer.ggml.{name}_token_id", GgufValue.Of((uint)id.Value));
        yield return new("tokenizer.ggml.add_bos_token", GgufValue.Of(before is not null));
        yield return new("tokenizer.ggml.add_eos_token", GgufValue.Of(after is not null));
    }
}
