using Trainer.Tokenizers.AddedTokens;
using Trainer.Tokenizers.Bpe;
using Trainer.Tokenizers.Decoders;
using Trainer.Tokenizers.Normalizers;
using Trainer.Tokenizers.Patterns;
using Trainer.Tokenizers.PostProcessors;
using Trainer.Tokenizers.PreTokenizers;
using Trainer.Tokenizers.Unigram;

namespace Trainer.Tokenizers.Files;

/// <summary>
/// Builds a tokenizer from a SentencePiece model. In one of type BPE any two neighbours whose joined text is a piece may merge, the highest score first;
/// so each way to cut a piece in two pieces is a merge, ranked by the score of the whole.
/// </summary>
internal static class SentencePieceReader
{
    // Classes of transformers that shift or insert ids (fairseq's order, Pegasus' offset); the pieces' places are not their ids.
    private static readonly string[] OwnNumbers =
        ["XLMRobertaTokenizer", "CamembertTokenizer", "BarthezTokenizer", "MBartTokenizer", "MBart50Tokenizer", "NllbTokenizer", "XGLMTokenizer",
        "PegasusTokenizer", "PLBartTokenizer", "M2M100Tokenizer"];

    /// <summary>Reads the model with what stands beside it.</summary>
    public static TokenizerParts Read(byte[] bytes, string path, FilesBeside beside, string hash)
    {
        var config = beside.Config;
        var kind = config?.Member("tokenizer_class").TextOrNull()?.Replace("Fast", "", StringComparison.Ordinal);
        if (OwnNumbers.Contains(kind))
            throw new TokenizerException($"tokenizer file '{path}': models of class '{kind}' give other ids than their pieces' places; use a model with a "
                + "tokenizer.json");
        var file = SentencePieceFile.Read(bytes, path);
        var ids = new Dictionary<string, int>(file.Pieces.Count, StringComparer.Ordinal);
        for (var id = 0; id < file.Pieces.Count; id++)
        {
            if (!ids.TryAdd(file.Pieces[id].Text, id))
                throw new TokenizerException($"tokenizer file '{path}': piece '{file.Pieces[id].Text}' is listed twice; take the file anew from its model");
        }
        var vocabulary = new Vocabulary(ids);
        var unknown = file.Pieces.Find(piece => piece.Type == SentencePieceType.Unknown).Text;
        // A model that is marked so puts its space before the beginning of a text alone, not behind each special token (transformers' "legacy": false).
        var prefix = !file.AddDummyPrefix || config?.Member("add_prefix_space").Flag(true) == false ? PrependScheme.Never
            : config?.Member("legacy").Flag(true) == false ? PrependScheme.First : PrependScheme.Always;
        var normalizer = new SentencePieceNormalizer(prefix, file.RemoveExtraSpaces, file.Map);
        var tokens = new List<AddedToken>();
        for (var id = 0; id < file.Pieces.Count; id++)
        {
            // Found in a text they are what they are called: so do all programs that render chats to text first.
            if (file.Pieces[id].Type is SentencePieceType.Control or SentencePieceType.Unknown)
                tokens.Add(new AddedToken(id, file.Pieces[id].Text, false, false, false, false, true));
        }
        tokens = AddedTokenReader.Read(tokens, beside, vocabulary);
        var added = new AddedVocabulary(tokens, normalizer);
        int? IdOf(string token) => added.IdOf(token) ?? vocabulary.IdOf(token);
        var special = Roles(beside.Roles(token => IdOf(token) is not null), file, unknown);
        return new TokenizerParts(
            vocabulary,
            file.IsUnigram ? Unigram(file, vocabulary, unknown) : BytePairs(file, vocabulary, unknown, path),
            added,
            file.IsUnigram ? null : Symbols(file),
            TokenizerFolder.Rebuilt(config, special, IdOf) ?? (kind == "T5Tokenizer" ? Behind(special.Eos, IdOf) : Around(special.Bos, IdOf)),
            Decoder(prefix),
            special,
            hash);
    }

    private static BpeModel BytePairs(SentencePieceFile file, Vocabulary vocabulary, string? unknown, string path)
    {
        var (merges, cutsAtMark) = Merges(file, vocabulary, path);
        return new BpeModel(vocabulary, merges, new BpeOptions { UnknownToken = unknown, FuseUnknown = true, ByteFallback = file.ByteFallback }, cutsAtMark);
    }

    /// <summary>Pieces that text may be cut into, with their scores; one the user defined costs a tenth, whatever it holds.</summary>
    private static UnigramModel Unigram(SentencePieceFile file, Vocabulary vocabulary, string? unknown)
    {
        const double UserDefinedScore = -0.1;
        var scores = file.Pieces.Select(piece => piece.Type == SentencePieceType.UserDefined ? UserDefinedScore : piece.Score).ToArray();
        var least = file.Pieces.Where(piece => piece.Type == SentencePieceType.Normal).Select(piece => (double)piece.Score).DefaultIfEmpty(0).Min();
        var found = vocabulary.Tokens.Where(token => file.Pieces[token.Value].Type is SentencePieceType.Normal or SentencePieceType.UserDefined);
        return new UnigramModel(vocabulary, new PieceTrie(found),
            new UnigramOptions(scores, least, unknown is null ? -1 : vocabulary.IdOf(unknown)!.Value,
            file.ByteFallback ? UnigramReader.ByteTokens(vocabulary) : null, IsSingle: true));
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
                    throw new TokenizerException($"tokenizer file '{path}': piece '{text}' holds the letter '{rune}', which is no piece; take the file anew "
                        + "from its model");
            }
        }
        return (new MergeTable(merges, scores.Length), cutsAtMark);
    }

    private static SpecialTokens Roles(SpecialTokens given, SentencePieceFile file, string? unknown)
    {
        string? Control(string text) => file.Pieces.Exists(piece => piece.Type == SentencePieceType.Control && piece.Text == text) ? text : null;
        return new SpecialTokens(given.Bos ?? Control(file.BosPiece), given.Eos ?? Control(file.EosPiece), given.Pad ?? Control(file.PadPiece),
            given.Unk ?? unknown);
    }

    private static SymbolSplitter? Symbols(SentencePieceFile file)
    {
        var symbols = file.Pieces.Select((piece, id) => (piece, id)).Where(pair => pair.piece.Type == SentencePieceType.UserDefined)
            .Select(pair => (pair.piece.Text, new AddedToken(pair.id, pair.piece.Text, false, false, false, true, false))).ToArray();
        return symbols.Length > 0 ? new SymbolSplitter(new AddedTokenMatcher(symbols)) : null;
    }

    private static Template? Around(string? bos, Func<string, int?> idOf) => bos is not null && idOf(bos) is { } id ? new Template([[id], null]) : null;

    private static Template? Behind(string? eos, Func<string, int?> idOf) => eos is not null && idOf(eos) is { } id ? new Template([null, [id]]) : null;

    private static DecoderSequence Decoder(PrependScheme prefix)
    {
        var steps = new List<IDecoder> { new ReplaceDecoder(new LiteralMatcher("▁"), " "), new ByteFallbackDecoder(), new FuseDecoder() };
        if (prefix != PrependScheme.Never)
            steps.Add(new StripDecoder(" ", 1, 0));
        return new DecoderSequence(steps);
    }
}
