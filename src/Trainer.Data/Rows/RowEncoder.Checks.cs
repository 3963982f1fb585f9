namespace Trainer.Data.Rows;

internal sealed partial class RowEncoder
{
    private const int Ignored = Example.IgnoredLabel;

    private void Verify(EncodedRow row, RowKind kind)
    {
        var (ids, labels) = (row.Ids, row.Labels);
        foreach (var id in ids)
            if (id >= _vocabulary)
                throw BadRowException.Malformed($"token id {id} is outside the model's vocabulary of {_vocabulary}",
                    "tokenizer and model do not belong together; name the right --tokenizer");
        if (tokenizer.BosId is { } bos && ids.Length > 1 && ids[0] == bos && ids[1] == bos)
            throw new BadRowException(FaultKind.DoubleBos, "the row begins with two beginning-of-text tokens",
                "remove the one that is written out in the text or the template");
        // What it is answered with is trained, and not known yet.
        if (kind == RowKind.Prompt) return;
        if (row.TrainedTokens == 0)
            throw new BadRowException(FaultKind.NothingTrained, $"none of the row's {ids.Length} tokens would be trained",
                "remove the row, check its labels or --train-on, or pass --drop-empty");
        // Ids that came as ids are taken as they are.
        if (options.AllowMissingEos || kind is RowKind.Text || row.Text is null) return;
        if (options.TrainOn == TrainOn.All && kind is RowKind.Chat) return; // everything is trained, closing tokens wherever the template has them
        for (var t = 0; t < labels.Length;)
        {
            if (labels[t] < 0)
            {
                t++;
                continue;
            }
            var end = t;
            while (end < labels.Length && labels[end] >= 0) end++;
            var last = end - 1;
            while (last > t && !Closes(labels[last]) && tokenizer.IsBlank(labels[last])) last--; // templates may train the line break behind the end of turn
            if (!Closes(labels[last]))
                throw new BadRowException(FaultKind.MissingEos,
                    $"a trained turn{Ending(row, last)} does not end with a trained end-of-turn token, so the model would not learn to stop",
                    "use a chat template whose turns end with one, or pass --allow-missing-eos");
            t = end;
        }
    }

    /// <summary>How the turn ends instead, in the row's own letters.</summary>
    private static string Ending(EncodedRow row, int last)
    {
        if (row.Text is not { } text || row.Offsets is not { } offsets) return "";
        var end = Math.Min(text.Length, offsets[last].End);
        return $" (it ends '{(end > 24 ? "..." : "")}{text[Math.Max(0, end - 24)..end]}')";
    }

    private bool Closes(int id) => id == tokenizer.EosId || tokenizer.IsSpecial(id);

    private EncodedRow[] Fit(EncodedRow row, OnTooLong rule, bool splittable)
    {
        var (length, most) = (row.Ids.Length, options.MaxSeqLength);
        if (length <= most) return [row];
        if (rule == OnTooLong.Split && splittable)
        {
            var parts = (length + most - 1) / most;
            var windows = new EncodedRow[parts];
            // Windows of nearly equal length: a remainder of one token would have nothing to predict.
            for (var p = 0; p < parts; p++)
                windows[p] = row.Slice((int)((long)length * p / parts), (int)((long)length * (p + 1) / parts));
            return windows;
        }
        if (rule == OnTooLong.Truncate)
        {
            var cut = row.Slice(0, most);
            var lastTrained = Array.FindLastIndex(row.Labels, label => label != Ignored);
            if (cut.TrainedTokens > 0 && (splittable || options.TruncateAnswers || lastTrained < most)) return [cut];
            throw new BadRowException(FaultKind.TooLong, $"the row has {length} tokens and cutting it to {most} would cut its answer",
                options.TruncateAnswers ? "raise --max-seq-length where the model has more positions, or pass --on-too-long drop"
                : "raise --max-seq-length where the model has more positions, or pass --on-too-long drop or --truncate-answers");
        }
        throw new BadRowException(FaultKind.TooLong, rule == OnTooLong.Split
            ? $"the row has {length} tokens, more than --max-seq-length {most}, and only text can be split"
            : $"the row has {length} tokens, more than --max-seq-length {most}",
            splittable ? "raise --max-seq-length where the model has more positions, or pass --on-too-long split or drop"
            : "raise --max-seq-length where the model has more positions, or pass --on-too-long drop");
    }
}
