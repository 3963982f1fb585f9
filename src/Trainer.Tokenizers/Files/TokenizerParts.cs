using Trainer.Tokenizers.AddedTokens;
using Trainer.Tokenizers.Bpe;
using Trainer.Tokenizers.Decoders;
using Trainer.Tokenizers.PostProcessors;
using Trainer.Tokenizers.PreTokenizers;

namespace Trainer.Tokenizers.Files;

/// <summary>Everything a tokenizer is made of, read and checked.</summary>
internal sealed record TokenizerParts(
    Vocabulary Vocabulary,
    IPieceModel Model,
    AddedVocabulary Added,
    IPreTokenizer? PreTokenizer,
    IPostProcessor? PostProcessor,
    IDecoder? Decoder,
    SpecialTokens Special,
    string ContentHash);
