using Trainer.Data.Chat;

namespace Trainer.Data.Rows;

/// <summary>One row as tokens, with what is needed to show it.</summary>
/// <param name="Ids">Token ids.</param>
/// <param name="Labels">Unshifted labels, -100 where no loss is carried.</param>
/// <param name="Text">The text the ids stand for, or null for rows that came as ids.</param>
/// <param name="Offsets">Range of characters of each token, or null.</param>
/// <param name="Spans">Trained ranges in characters.</param>
internal sealed record EncodedRow(int[] Ids, int[] Labels, string? Text, (int Start, int End)[]? Offsets, IReadOnlyList<(int Start, int End)> Spans)
{
    /// <summary>How the assistant's turns of a chat were found; null for rows that are none.</summary>
    public SpanMethod? MaskMethod { get; init; }

    /// <summary>What the chat template left out.</summary>
    public IReadOnlyList<string> PassedOver { get; init; } = [];

    /// <summary>What was changed so that the template could take the row.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Why a trained turn must not be trained as the template writes it, or null.</summary>
    public BadRowException? Lost { get; init; }

    /// <summary>Targets that carry loss: the first token is predicted by nothing.</summary>
    public int TrainedTokens
    {
        get
        {
            var n = 0;
            for (var t = 1; t < Labels.Length; t++)
                if (Labels[t] >= 0) n++;
            return n;
        }
    }

    /// <summary>The sequences of a preference row, each with its role; a plain row is one.</summary>
    public IEnumerable<(SegmentRole Role, EncodedRow Row)> Sides()
    {
        for (var begin = 0; begin < Ids.Length;)
        {
            var next = begin + 1;
            while (next < Ids.Length && Labels[next] >= Example.IgnoredLabel) next++;
            yield return (Example.RoleOf(Labels[begin]), Slice(begin, next));
            begin = next;
        }
    }

    /// <summary>Labels by character: a token is trained if it stands for text and its range meets a trained one.</summary>
    public static EncodedRow Mask(string text, int[] ids, (int Start, int End)[] offsets, IReadOnlyList<(int Start, int End)> spans)
    {
        var labels = new int[ids.Length];
        var next = 0;
        for (var t = 0; t < ids.Length; t++)
        {
            var (start, end) = offsets[t];
            while (next < spans.Count && spans[next].End <= start) next++;
            labels[t] = start < end && next < spans.Count && spans[next].Start < end ? ids[t] : Example.IgnoredLabel;
        }
        return new EncodedRow(ids, labels, text, offsets, spans);
    }

    /// <summary>The row with one token more, trained.</summary>
    public EncodedRow Append(int id, string piece)
    {
        if (Text is null || Offsets is null) return this with { Ids = [.. Ids, id], Labels = [.. Labels, id] };
        var (from, to) = (Text.Length, Text.Length + piece.Length);
        IReadOnlyList<(int, int)> spans = Spans.Count > 0 && Spans[^1].End == from ? [.. Spans.SkipLast(1), (Spans[^1].Start, to)] : [.. Spans, (from, to)];
        return this with { Ids = [.. Ids, id], Labels = [.. Labels, id], Text = Text + piece, Offsets = [.. Offsets, (from, to)], Spans = spans };
    }

    /// <summary>Tokens <paramref name="begin"/> to <paramref name="end"/> of this row.</summary>
    public EncodedRow Slice(int begin, int end)
    {
        if (begin == 0 && end == Ids.Length) return this;
        if (Text is null || Offsets is null) return new EncodedRow(Ids[begin..end], Labels[begin..end], null, null, []);
        var offsets = Offsets[begin..end];
        // A token that stands for no text (a beginning of text) lies at 0 and would pull the cut back to the start.
        int from = Text.Length, to = 0;
        foreach (var (start, stop) in offsets)
        {
            if (start == stop) continue;
            from = Math.Min(from, start);
            to = Math.Max(to, stop);
        }
        if (from > to) (from, to) = (0, 0);
        var moved = Array.ConvertAll(offsets, each => each.Start == each.End ? (0, 0) : (each.Start - from, each.End - from));
        var spans = Spans.Select(span => (Start: Math.Max(span.Start, from) - from, End: Math.Min(span.End, to) - from)).Where(span => span.Start < span.End)
            .ToList();
        return this with { Ids = Ids[begin..end], Labels = Labels[begin..end], Text = Text[from..to], Offsets = moved, Spans = spans };
    }
}
