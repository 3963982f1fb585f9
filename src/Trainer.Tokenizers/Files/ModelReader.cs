using System.Text.Json;
using Trainer.Tokenizers.Bpe;

namespace Trainer.Tokenizers.Files;

/// <summary>Reads the <c>model</c> of a tokenizer.json: BPE or Unigram.</summary>
internal static class ModelReader
{
    private const string WayOut = "use a tokenizer of type BPE or Unigram";

    /// <summary>Builds the model.</summary>
    public static (Vocabulary Vocabulary, IPieceModel Model) Read(JsonSection section)
    {
        // Files of the first years carry no type: only BPE has merges, and only Unigram has a list for a vocabulary.
        var type = section.Member("type").TextOrNull()
            ?? (!section.Member("merges").IsNull ? "BPE" : section.Member("vocab").Element.ValueKind == JsonValueKind.Array ? "Unigram" : null);
        return type switch
        {
            "BPE" => BpeReader.Read(section),
            "Unigram" => UnigramReader.Read(section),
            null => throw section.Fault("the model has no type and no merges, so it is not BPE", WayOut),
            _ => throw section.Member("type").Fault($"the model type '{type}' is not supported", WayOut),
        };
    }
}
