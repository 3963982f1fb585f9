using Trainer.Tokenizers.AddedTokens;
using Trainer.Tokenizers.Bpe;
using Trainer.Tokenizers.Decoders;
using Trainer.Tokenizers.Normalizers;
using Trainer.Tokenizers.Patterns;
using Trainer.Tokenizers.PostProcessors;
using Trainer.Tokenizers.PreTokenizers;

namespace Trainer.Tokenizers.Files;

/// <summary>
/// Builds a tokenizer from a SentencePiece BPE model. Any two neighbours whose joined text is a piece may merge, the highest score first;
/// so each way to cut a piece in two pieces is a merge, ranked by the score of the whole.
/// </summary>
internal static class SentencePieceReader
{
    /// <summary>Reads the model with what stands beside it.</summary>
    public static TokenizerParts Read(byte[] bytes, string path, JsonSection? config, JsonSection? map, string hash)
    {
        var file = SentencePieceFile.Read(bytes, path);
        var ids = new Dictionary<string, int>(file.Pieces.Count, StringComparer.Ordinal);
        for (var id = 0; id < file.Pieces.Count; id++)
        {
            if (!ids.TryAdd(file.Pieces[id].Text, id))
                throw new TokenizerException($"tokenizer file '{path}': piece '{file.Pieces[id].Text}' is listed twice; take the file anew from its model");
        }
        var vocabulary = new Vocabulary(ids);
        var unknown = file.Pieces.Find(piece => piece.Type == SentencePieceType.Unknown).Text;
        var (merges, cutsAtMark) = Merges(file, vocabulary, path);
        var options = new BpeOptions { UnknownToken = unknown, FuseUnknown = true, ByteFallback = file.ByteFallback };
        var normalizer = new SentencePieceNormalizer(file.AddDummyPrefix, file.RemoveExtraSpaces);
        var tokens = new List<AddedToken>();
        for (var id = 0; id < file.Pieces.Count; id++)
        {
            // Found in a text they are what they are called: so do all programs that render chats to text first.
            if (file.Pieces[id].Type is SentencePieceType.Control or SentencePieceType.Unknown)
                tokens.Add(new AddedToken(id, file.Pieces[id].Text, false, false, false, false, true));
        }
        AddedTokenReader.AddFromConfig(tokens, config, vocabulary);
        var special = Roles(SpecialTokens.Read(config, map), file, unknown);
        var added = new AddedVocabulary(tokens, normalizer);
        int? IdOf(string token) => added.IdOf(token) ?? vocabulary.IdOf(token);
        return new TokenizerParts(
            vocabulary,
            new BpeModel(vocabulary, merges, options, cutsAtMark),
            added,
            Symbols(file),
            TokenizerFolder.Rebuilt(config, special, IdOf) ?? Around(special.Bos, IdOf),
            Decoder(file),
            special,
            hash);
    }

    private static (MergeTable Table, bool CutsAtMark) Merges(SentencePieceFile file, Vocabulary vocabulary, string path)
    {
        bool Mergeable(int id) => file.Pieces[id].Type is SentencePieceType.Normal or SentencePieceType.UserDefined;
        var scores = file.Pieces.Where(piece => piece.Type == SentencePieceType.Normal).Select(piece => piece.Score).Distinct().OrderDescending().ToArray();
        var ranks = scores.Select((score, rank) => (score, rank)).ToDictionary(pair => pair.score, pair => pair.rank);
        var merges = new List<(int, int, int, int)>();
        var cutsAtMark = true;
        for (var id = 0; id < file.Pieces.Count; id++)
        {
            var (text, score, type) = file.Pieces[id];
            if (type != SentencePieceType.Normal)
                continue;
            for (var cut = 1; cut < text.Length; cut++)
            {
                if (char.IsLowSurrogate(text[cut]))
                    continue;
                if (vocabulary.IdOf(text.AsSpan(0, cut)) is { } left && vocabulary.IdOf(text.AsSpan(cut)) is { } right && Mergeable(left) && Mergeable(right))
                {
                    merges.Add((left, right, id, ranks[score]));
                    cutsAtMark &= !(text[cut] == '▁' && text[cut - 1] != '▁');
                }
            }
            foreach (var rune in text.EnumerateRunes())
            {
                if (vocabulary.IdOf(rune.ToString()) is null)
                    throw new TokenizerException($"tokenizer file '{path}': piece '{text}' holds the letter '{rune}', which is no piece; take the file anew from its model");
            }
        }
        return (new MergeTable(merges, scores.Length), cutsAtMark);
    }

    private static SpecialTokens Roles(SpecialTokens given, SentencePieceFile file, string? unknown)
    {
        string? Control(string text) => file.Pieces.Exists(piece => piece.Type == SentencePieceType.Control && piece.Text == text) ? text : null;
        return new SpecialTokens(given.Bos ?? Control(file.BosPiece), given.Eos ?? Control(file.EosPiece), given.Pad ?? Control(file.PadPiece), given.Unk ?? unknown);
    }

    private static SymbolSplitter? Symbols(SentencePieceFile file)
    {
        var symbols = file.Pieces.Select((piece, id) => (piece, id)).Where(pair => pair.piece.Type == SentencePieceType.UserDefined)
            .Select(pair => (pair.piece.Text, new AddedToken(pair.id, pair.piece.Text, false, false, false, true, false))).ToArray();
        return symbols.Length > 0 ? new SymbolSplitter(new AddedTokenMatcher(symbols)) : null;
    }

    private static Template? Around(string? bos, Func<string, int?> idOf) => bos is not null && idOf(bos) is { } id ? new Template([[id], null]) : null;

    private static DecoderSequence Decoder(SentencePieceFile file)
    {
        var steps = new List<IDecoder> { new ReplaceDecoder(new LiteralMatcher("▁"), " "), new ByteFallbackDecoder(), new FuseDecoder() };
        if (file.AddDummyPrefix)
            steps.Add(new StripDecoder(" ", 1, 0));
        return new DecoderSequence(steps);
    }
}
