using Trainer.Tokenizers.Alignment;
using Trainer.Tokenizers.Bpe;

namespace Trainer.Tokenizers.Unigram;

/// <summary>
/// The most likely cut of a text into pieces (Kudo 2018): score(end) = max over pieces that end there of score(begin) + log p(piece), found from
/// left to right. A letter that is no piece of its own may also stand as the unknown token, ten below the least likely piece.
/// </summary>
/// <param name="vocabulary">Pieces and ids.</param>
/// <param name="trie">The pieces that are found in text.</param>
/// <param name="options">Scores and rules.</param>
internal sealed class UnigramModel(Vocabulary vocabulary, PieceTrie trie, UnigramOptions options) : IPieceModel
{
    private const double UnknownPenalty = 10;

    private readonly double _unknownScore = options.IsSingle ? (float)(options.LeastScore - UnknownPenalty) : options.LeastScore - UnknownPenalty;

    [ThreadStatic]
    private static (double[] Scores, int[] Begins, int[] Ids)? _work;

    public void Encode(PieceText input, TokenSink sink)
    {
        foreach (var piece in input.Pieces)
        {
            if (piece.TokenId >= 0)
                sink.AddFound(piece.TokenId, input.Text, piece.Begin, piece.End);
            else if (piece.Begin < piece.End)
                EncodePiece(input.Text, piece.Begin, piece.End, sink);
        }
    }

    private void EncodePiece(AlignedText text, int begin, int end, TokenSink sink)
    {
        var piece = text.Slice(begin, end);
        if (_work is not { } work || work.Scores.Length <= piece.Length)
            _work = work = (new double[piece.Length + 64], new int[piece.Length + 64], new int[piece.Length + 64]);
        Fill(piece, work.Scores, work.Begins, work.Ids);
        // The way back gives the pieces from the last to the first; it is turned round in place of a list.
        var (at, following) = (piece.Length, -1);
        while (at > 0)
        {
            var from = work.Begins[at];
            work.Begins[at] = following;
            (following, at) = (at, from);
        }
        for (var from = 0; following >= 0;)
        {
            var to = following;
            following = work.Begins[to];
            if (work.Ids[to] == options.UnknownId)
            {
                while (following >= 0 && work.Ids[following] == options.UnknownId) (to, following) = (following, work.Begins[following]);
                AddUnknown(text, begin + from, begin + to, sink);
            }
            else sink.Add(work.Ids[to], text, begin + from, begin + to);
            from = to;
        }
    }

    /// <summary>For each end of a letter: the best score of a cut up to there, and where its last piece begins and what it is.</summary>
    private void Fill(ReadOnlySpan<char> piece, double[] scores, int[] begins, int[] ids)
    {
        begins.AsSpan(0, piece.Length + 1).Fill(-1);
        scores[0] = 0;
        for (var from = 0; from < piece.Length;)
        {
            var width = char.IsHighSurrogate(piece[from]) && from + 1 < piece.Length && char.IsLowSurrogate(piece[from + 1]) ? 2 : 1;
            var isPiece = false;
            var node = 0;
            for (var to = from; to < piece.Length && (node = trie.Next(node, piece[to])) > 0;)
            {
                to++;
                if (trie.IdAt(node) is not (>= 0 and var id)) continue;
                Take(to, options.Scores[id], id);
                isPiece |= to - from == width;
            }
            if (!isPiece)
            {
                if (options.UnknownId < 0)
                    throw new TokenizerException($"the text holds '{piece[from..(from + width)]}', which the vocabulary lacks, and no unknown token is named "
                        + "that could stand for it; add the letter to the vocabulary or set unk_id in tokenizer.json");
                Take(from + width, _unknownScore, options.UnknownId);
            }
            from += width;

            void Take(int to, double score, int id)
            {
                var candidate = scores[from] + score;
                if (begins[to] >= 0 && candidate <= scores[to]) return;
                // SentencePiece keeps single precision and compares with double; the Rust library is double throughout.
                scores[to] = options.IsSingle ? (float)candidate : candidate;
                (begins[to], ids[to]) = (from, id);
            }
        }
    }

    /// <summary>A run of unknown letters: a piece after all, its bytes, or the unknown token.</summary>
    private void AddUnknown(AlignedText text, int begin, int end, TokenSink sink)
    {
        var run = text.Slice(begin, end);
        if (!options.IsSingle && vocabulary.IdOf(run) is { } whole)
            sink.Add(whole, text, begin, end);
        else if (options.ByteTokens is { } tokens)
        {
            foreach (var value in System.Text.Encoding.UTF8.GetBytes(run.ToString()))
                sink.Add(tokens[value], text, begin, end);
        }
        else sink.Add(options.UnknownId, text, begin, end);
    }
}
