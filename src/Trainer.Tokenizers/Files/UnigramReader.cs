using System.Text.Json;
using Trainer.Tokenizers.Bpe;
using Trainer.Tokenizers.Unigram;

namespace Trainer.Tokenizers.Files;

/// <summary>Reads the <c>model</c> of a tokenizer.json of type Unigram: a list of pieces with their scores, by id.</summary>
internal static class UnigramReader
{
    /// <summary>Builds the model.</summary>
    public static (Vocabulary Vocabulary, UnigramModel Model) Read(JsonSection section)
    {
        var list = section.Member("vocab");
        var scores = new List<double>();
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var item in list.Items())
        {
            if (item.Element is not { ValueKind: JsonValueKind.Array } pair || pair.GetArrayLength() != 2 || pair[1].ValueKind != JsonValueKind.Number
                || !double.IsFinite(pair[1].GetDouble()))
                throw item.Fault("a piece and its score were expected");
            // A piece that is listed twice is known by its last id, as in the reference.
            ids[new JsonSection(pair[0], item.File, item.Path).Text()] = scores.Count;
            scores.Add(pair[1].GetDouble());
        }
        if (scores.Count == 0)
            throw list.Fault("the vocabulary is empty");
        var unknown = section.Member("unk_id");
        var unknownId = unknown.IsNull ? -1 : unknown.Number(scores.Count - 1);
        var vocabulary = new Vocabulary(ids);
        var bytes = section.Member("byte_fallback").Flag(false) ? ByteTokens(vocabulary) : null;
        return (vocabulary, new UnigramModel(vocabulary, new PieceTrie(ids), new UnigramOptions([.. scores], scores.Min(), unknownId, bytes, IsSingle: false)));
    }

    /// <summary>The ids of the byte tokens, or null where one is missing.</summary>
    public static int[]? ByteTokens(Vocabulary vocabulary)
    {
        var tokens = Enumerable.Range(0, 256).Select(value => vocabulary.IdOf($"<0x{value:X2}>") ?? -1).ToArray();
        return Array.Exists(tokens, id => id < 0) ? null : tokens;
    }
}
