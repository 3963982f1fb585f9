using Trainer.Tokenizers.Alignment;
using Trainer.Tokenizers.Patterns;

namespace Trainer.Tokenizers.PreTokenizers;

/// <summary>Writes spaces as a mark, puts one in front, and cuts before each mark.</summary>
internal sealed class Metaspace(string mark, PrependScheme scheme, bool split) : IPreTokenizer
{
    private readonly Splitter? _splitter = split ? new Splitter(new LiteralMatcher(mark), SplitBehavior.MergedWithNext) : null;

    public PieceText Apply(PieceText input)
    {
        var marked = Mark(input);
        if (scheme != PrependScheme.Never)
        {
            marked = PiecePrefix.Add(marked, mark, (text, piece) => !text.Slice(piece.Begin, piece.End).StartsWith(mark, StringComparison.Ordinal)
                && (scheme == PrependScheme.Always || text.StartOf(piece.Begin) == 0));
        }
        return _splitter?.Apply(marked) ?? marked;
    }

    private PieceText Mark(PieceText input)
    {
        if (!input.Text.Span.Contains(' '))
            return input;
        var builder = new AlignedTextBuilder(input.Text.Length);
        var pieces = new List<Piece>(input.Pieces.Count);
        foreach (var piece in input.Pieces)
        {
            var begin = builder.Length;
            for (var i = piece.Begin; i < piece.End;)
            {
                var space = piece.TokenId >= 0 ? -1 : input.Text.Slice(i, piece.End).IndexOf(' ');
                var stop = space < 0 ? piece.End : i + space;
                builder.AppendSlice(input.Text, i, stop);
                if (stop < piece.End)
                    builder.Append(mark, input.Text.StartOf(stop), input.Text.EndOf(stop++));
                i = stop;
            }
            pieces.Add(new Piece(begin, builder.Length, piece.TokenId));
        }
        return new PieceText(builder.Build(input.Text.Origin), pieces);
    }
}
