using System.Text.Json;
using Trainer.Data.Conversations;

namespace Trainer.Data.Rows;

internal sealed partial class RowEncoder
{
    /// <summary>A pair: both answers, each behind the prompt, one behind the other.</summary>
    private EncodedRow Pair(RowFields fields)
    {
        if (fields["prompt_ids"] is { } ids)
        {
            var prompt = Ids(ids, "prompt_ids");
            return Sides((SegmentRole.Chosen, Given(prompt, fields, "chosen_ids")), (SegmentRole.Rejected, Given(prompt, fields, "rejected_ids")));
        }
        var (text, chosen, rejected) = PreferenceTexts.Pair(fields, chat is not null);
        return Sides((SegmentRole.Chosen, Answer(text, chosen, "chosen", fields)), (SegmentRole.Rejected, Answer(text, rejected, "rejected", fields)));
    }

    /// <summary>An answer with a label.</summary>
    private EncodedRow Feedback(RowFields fields)
    {
        var role = PreferenceTexts.IsDesirable(fields["label"]!.Value) ? SegmentRole.Desirable : SegmentRole.Undesirable;
        if (fields["prompt_ids"] is { } ids)
        {
            var prompt = Ids(ids, "prompt_ids");
            var row = Given(prompt, fields, "completion_ids");
            return fields["kl_completion_ids"] is null
                ? Sides((role, row)) : Sides((role, row), (SegmentRole.Mismatched, Given(prompt, fields, "kl_completion_ids")));
        }
        var (text, answer) = PreferenceTexts.Feedback(fields, chat is not null);
        return Sides((role, Answer(text, answer, "completion", fields)));
    }

    private int[] Ids(JsonElement value, string column) => RowValue.Integers(value, column, _vocabulary - 1);

    private EncodedRow Given(int[] prompt, RowFields fields, string column)
    {
        if (fields[column] is not { } given) throw BadRowException.Malformed($"the row has no column '{column}'");
        var answer = Ids(given, column);
        if (prompt.Length == 0) throw BadRowException.Malformed("'prompt_ids' is empty: the first token of an answer must be predicted by something");
        if (answer.Length == 0) throw new BadRowException(FaultKind.NothingTrained, $"'{column}' is empty", "remove the row, or pass --drop-empty");
        return new EncodedRow([.. prompt, .. answer], [.. Enumerable.Repeat(Example.IgnoredLabel, prompt.Length), .. answer], null, null, []);
    }

    /// <summary>Prompt and answer as tokens: what follows the prompt's tokens is the answer.</summary>
    /// <exception cref="BadRowException">The prompt's tokens are not the first tokens of both.</exception>
    private EncodedRow Answer(PreferenceText prompt, PreferenceText answer, string column, RowFields fields)
    {
        if (prompt.Messages is { } before) return RenderedAnswer(before, answer.Messages!.Value, column, fields);
        if (string.IsNullOrWhiteSpace(answer.Text)) throw EmptyAnswer(column);
        var row = Behind(prompt.Text + answer.Text, prompt.Text.Length, column, special: true);
        return tokenizer.EosId is { } eos && row.Ids[^1] != eos ? row.Append(eos, tokenizer.EosToken ?? "") : row;
    }

    /// <summary>Tokens of a text, of which those behind <paramref name="cut"/> are the answer.</summary>
    private EncodedRow Behind(string text, int cut, string column, bool special)
    {
        var (ids, offsets) = tokenizer.Encode(text, special);
        var (before, ends) = tokenizer.Encode(text[..cut], special);
        // A tokenizer that closes every text closes the prompt too, where it stands alone.
        var length = before.Length > 0 && before[^1] == tokenizer.EosId && ends[^1].Start == ends[^1].End ? before.Length - 1 : before.Length;
        if (length == 0) throw BadRowException.Malformed("the prompt is empty: the first token of an answer must be predicted by something");
        if (length > ids.Length || !ids.AsSpan(0, length).SequenceEqual(before.AsSpan(0, length)))
        {
            throw BadRowException.Malformed(
                $"the prompt's tokens are not the first tokens of prompt and '{column}': one token would reach over the border",
                "move a space or line break that ends the prompt to the start of the answer");
        }
        var labels = ids.ToArray();
        Array.Fill(labels, Example.IgnoredLabel, 0, length);
        return new EncodedRow(ids, labels, text, offsets, [(cut, text.Length)]);
    }

    private EncodedRow RenderedAnswer(JsonElement prompt, JsonElement answer, string column, RowFields fields)
    {
        if (chat is null) throw BadRowException.Malformed("the row is a chat and the model has no chat template", "pass --chat-template FILE");
        var row = ChatReader.Read([(prompt, "prompt"), (answer, column)], fields["system"], Tools(fields), fields["chat_template_kwargs"])
            .With(options.Reasoning);
        if (row.Turns.Skip(row.LastList).Any(turn => turn.IsAssistant && SaysNothing(turn))) throw EmptyAnswer(column);
        var rendered = chat.Render(row, TrainOn.Assistant, row.LastList);
        // Everything behind the opened turn belongs to the answer, as in TRL.
        var cut = rendered.Spans.Count > 0 ? rendered.Spans[0].Start : throw BadRowException.Malformed($"column '{column}' holds no turn of the assistant");
        return Behind(rendered.Text, cut, column, special: false) with
        {
            MaskMethod = rendered.Method, PassedOver = [.. rendered.Losses.Select(loss => loss.Name).Distinct()], Notes = rendered.Notes,
            Lost = Refused(rendered, row),
        };
    }

    private static BadRowException EmptyAnswer(string column)
        => new(FaultKind.NothingTrained, $"the answer in '{column}' is empty", "remove the row, or pass --drop-empty");

    /// <summary>Several sequences as one row; the label of each one's first token tells its role.</summary>
    private static EncodedRow Sides(params ReadOnlySpan<(SegmentRole Role, EncodedRow Row)> sides)
    {
        if (sides is [(SegmentRole.Chosen, var chosen), (SegmentRole.Rejected, var rejected)] && chosen.Ids.AsSpan().SequenceEqual(rejected.Ids))
            throw BadRowException.Malformed("chosen and rejected are the same answer: there is nothing to prefer", "remove the row");
        var (ids, labels, offsets, spans, text) = (new List<int>(), new List<int>(), new List<(int, int)>(), new List<(int, int)>(), "");
        foreach (var (role, row) in sides)
        {
            ids.AddRange(row.Ids);
            labels.Add(Example.MarkerOf(role));
            labels.AddRange(row.Labels.AsSpan(1));
            if (row.Text is null || row.Offsets is null) continue;
            if (text.Length > 0) text += "\n\n";
            foreach (var (start, end) in row.Offsets) offsets.Add((start + text.Length, end + text.Length));
            foreach (var (start, end) in row.Spans) spans.Add((start + text.Length, end + text.Length));
            text += row.Text;
        }
        var whole = offsets.Count == ids.Count
            ? new EncodedRow([.. ids], [.. labels], text, [.. offsets], spans)
            : new EncodedRow([.. ids], [.. labels], null, null, []);
        foreach (var (_, row) in sides)
        {
            whole = whole with
            {
                MaskMethod = whole.MaskMethod ?? row.MaskMethod, PassedOver = [.. whole.PassedOver.Union(row.PassedOver)],
                Notes = [.. whole.Notes.Union(row.Notes)], Lost = whole.Lost ?? row.Lost,
            };
        }
        return whole;
    }

    // An objective over labels takes a pair as two rows.
    private EncodedRow[] FitPreference(EncodedRow row, RowKind kind, OnTooLong rule)
    {
        var fitted = FitSides(row, rule);
        return kind == RowKind.Pair && options.Purpose == RowPurpose.Feedback ? Unpaired(fitted) : [fitted];
    }

    /// <summary>Each sequence of a row within --max-seq-length.</summary>
    private EncodedRow FitSides(EncodedRow row, OnTooLong rule)
    {
        var most = options.MaxSeqLength;
        var sides = row.Sides().ToList();
        if (sides.All(side => side.Row.Ids.Length <= most)) return row;
        foreach (var (_, side) in sides.Where(side => side.Row.Ids.Length > most))
        {
            if (rule != OnTooLong.Truncate)
                throw new BadRowException(FaultKind.TooLong, $"a prompt with its answer has {side.Ids.Length} tokens, more than --max-seq-length {most}",
                    "raise --max-seq-length where the model has more positions, or pass --on-too-long drop");
            if (Array.FindIndex(side.Labels, label => label >= 0) >= most)
                throw new BadRowException(FaultKind.TooLong, $"the prompt alone fills --max-seq-length {most}",
                    "raise --max-seq-length where the model has more positions, or pass --on-too-long drop");
            if (!options.TruncateAnswers)
                throw new BadRowException(FaultKind.TooLong,
                    $"a prompt with its answer has {side.Ids.Length} tokens and cutting it to {most} would cut the answer",
                    "raise --max-seq-length where the model has more positions, or pass --on-too-long drop or --truncate-answers");
        }
        return Sides([.. sides.Select(side => (side.Role, side.Row.Slice(0, Math.Min(most, side.Row.Ids.Length))))]);
    }

    /// <summary>A pair as two labelled answers, for an objective that knows no pairs.</summary>
    private static EncodedRow[] Unpaired(EncodedRow pair) =>
        [.. pair.Sides().Select(side => Sides((side.Role == SegmentRole.Chosen ? SegmentRole.Desirable : SegmentRole.Undesirable, side.Row)))];
}
