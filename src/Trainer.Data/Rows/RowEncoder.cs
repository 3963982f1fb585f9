using System.Text.Json;
using Trainer.Data.Reading;

namespace Trainer.Data.Rows;

/// <summary>One row to tokens and labels. Stateless, so rows go through it on any thread.</summary>
internal sealed partial class RowEncoder(ITextEncoder tokenizer, IChatRenderer? chat, DataOptions options, int? modelVocabulary = null, bool heldOut = false)
{
    private const string WithoutTemplate = "prompt and completion are joined as they are, without the chat template (--data FILE,instruction=prompt,"
        + "output=completion trains with it)";

    private readonly int _vocabulary = modelVocabulary ?? tokenizer.VocabularySize;

    /// <summary>Reads, tokenizes, masks, checks and fits one row; faults come back in the outcome.</summary>
    public RowOutcome Encode(RawRow raw, IReadOnlyDictionary<string, string>? columns)
    {
        var outcome = new RowOutcome(raw.Source) { Fault = raw.Fault };
        if (raw.Fault is not null) return outcome;
        try
        {
            EncodedRow row;
            bool splittable;
            if (raw.Document is { } document)
            {
                outcome = outcome with { Kind = RowKind.Text };
                RowValue.Check(document, "text");
                if (options.Purpose == RowPurpose.Prompts) throw NoQuestion("a text");
                row = Text(document, !raw.ContinuesBefore, !raw.ContinuesAfter);
                splittable = true;
            }
            else
            {
                var fields = RowFields.From(RowParser.Parse(raw), columns, raw.Textual, options.Purpose);
                outcome = outcome with
                {
                    Kind = fields.Kind,
                    Ignored = fields.Ignored,
                    Weight = RowValue.Weight(fields["weight"], raw.Textual),
                };
                (row, var empty) = Encode(fields, raw.Textual);
                splittable = fields.Kind == RowKind.Text || fields.Kind == RowKind.Tokenized && row.Labels.AsSpan().SequenceEqual(row.Ids);
                outcome = outcome with { EmptyAnswer = empty, Ignored = [.. outcome.Ignored, .. row.PassedOver], Notes = row.Notes };
            }
            outcome = outcome with { Refused = row, Length = row.Sides().Select(side => side.Row.Ids.Length).DefaultIfEmpty(0).Max(),
                Fingerprint = Checksum.Of(row.Ids, row.Labels) };
            var kind = outcome.Kind!.Value;
            if (row.Lost is { } lost) throw lost;
            Verify(row, kind);
            // A document has no rows to refuse, and held-out text loses nothing in windows: they are laid out so unless another rule is asked for.
            var rule = options.OnTooLong == OnTooLong.Error && (raw.Document is not null || heldOut && splittable) ? OnTooLong.Split : options.OnTooLong;
            var parts = kind switch
            {
                RowKind.Pair or RowKind.Feedback => FitPreference(row, kind, rule),
                RowKind.Prompt => FitPrompt(row),
                _ => Fit(row, rule, splittable),
            };
            return outcome with { Refused = null, Parts = parts, Truncated = parts.Length == 1 && parts[0].Ids.Length < row.Ids.Length };
        }
        catch (BadRowException fault)
        {
            return outcome with { Fault = new RowFault(raw.Source, fault.Column, fault.Kind, fault.Message, fault.WayOut) };
        }
    }

    private (EncodedRow Row, bool EmptyAnswer) Encode(RowFields fields, bool textual) => fields.Kind switch
    {
        RowKind.Text => (TextRow(RowValue.Text(fields["text"]!.Value, "text")), false),
        RowKind.Tokenized => (Tokenized(fields), false),
        RowKind.Pair => (Pair(fields), false),
        RowKind.Feedback => (Feedback(fields), false),
        RowKind.Prompt => (Prompt(fields), false),
        RowKind.Completion => Completion(fields),
        RowKind.Instruction => Instruction(fields),
        _ => Conversation(fields),
    };

    private EncodedRow TextRow(string text)
    {
        if (options.TrainOn is TrainOn.Assistant or TrainOn.Completion or TrainOn.Last)
            throw BadRowException.Malformed($"a text row has no turns to pick from, and --train-on is {Word(options.TrainOn)}",
                "pass --train-on all, or give rows with turns");
        if (text.Length == 0) throw new BadRowException(FaultKind.NothingTrained, "column 'text' is empty", "remove the row, or pass --drop-empty");
        return Text(text, begin: true, end: true);
    }

    /// <summary>Special tokens as the tokenizer adds them, the text, and an end-of-text token where the model has one and the text does not end with
    /// it.</summary>
    private EncodedRow Text(string text, bool begin, bool end)
    {
        var (ids, offsets) = tokenizer.Encode(text, begin);
        var row = new EncodedRow(ids, ids, text, offsets, text.Length > 0 ? [(0, text.Length)] : []);
        return end && tokenizer.EosId is { } eos && (ids.Length == 0 || ids[^1] != eos) ? row.Append(eos, tokenizer.EosToken ?? "") : row;
    }

    private (EncodedRow, bool) Completion(RowFields fields)
    {
        var (prompt, completion) = (fields["prompt"]!.Value, fields["completion"]!.Value);
        if (prompt.ValueKind == JsonValueKind.Array || completion.ValueKind == JsonValueKind.Array) return PromptMessages(fields);
        foreach (var name in (ReadOnlySpan<string>)["tools", "functions", "system", "chat_template_kwargs"])
            if (fields[name] is { } value && !Trainer.Data.Conversations.WireJson.IsAbsent(value))
                throw BadRowException.Malformed($"column '{name}' needs prompt and completion to be lists of messages");
        var (row, isEmpty) = Joined(RowValue.Text(prompt, "prompt"), RowValue.Text(completion, "completion"));
        return (chat is null ? row : row with { Notes = [WithoutTemplate] }, isEmpty);
    }

    /// <summary>Prompt and completion joined exactly, tokenized once, masked by characters, closed by a trained end-of-text token.</summary>
    private (EncodedRow, bool) Joined(string prompt, string completion)
    {
        var text = prompt + completion;
        var (ids, offsets) = tokenizer.Encode(text, addSpecialTokens: true);
        var row = options.TrainOn == TrainOn.All
            ? new EncodedRow(ids, ids, text, offsets, [(0, text.Length)])
            : EncodedRow.Mask(text, ids, offsets, completion.Length > 0 ? [(prompt.Length, text.Length)] : []);
        if (tokenizer.EosId is { } eos)
        {
            // A tokenizer that closes every text itself has put its token at no character, so the mask left it out.
            if (ids.Length > 0 && ids[^1] == eos && offsets[^1].Start == offsets[^1].End) row.Labels[^1] = eos;
            else if (row.Labels.Length == 0 || row.Labels[^1] != eos) row = row.Append(eos, tokenizer.EosToken ?? "");
        }
        return (row, string.IsNullOrWhiteSpace(completion));
    }

    private EncodedRow Tokenized(RowFields fields)
    {
        var ids = RowValue.Integers(fields["input_ids"]!.Value, "input_ids", _vocabulary - 1);
        int[]? labels = null;
        if (fields["labels"] is { } given)
        {
            labels = RowValue.Integers(given, "labels", _vocabulary - 1, ignorable: true);
            SameLength(labels, "labels");
        }
        if (fields["attention_mask"] is { } attention)
        {
            var mask = RowValue.Integers(attention, "attention_mask", 1);
            SameLength(mask, "attention_mask");
            if (mask.AsSpan().Contains(0))
                throw BadRowException.Malformed("'attention_mask' holds 0, which means padding", "leave padding out: rows need none here");
        }
        foreach (var name in (ReadOnlySpan<string>)["completion_mask", "assistant_masks"])
        {
            if (fields[name] is not { } column) continue;
            var mask = RowValue.Integers(column, name, 1);
            SameLength(mask, name);
            labels = labels is null ? [.. ids] : labels;
            for (var t = 0; t < labels.Length; t++)
                if (mask[t] == 0) labels[t] = Example.IgnoredLabel;
        }
        if (labels is null && options.TrainOn is TrainOn.Assistant or TrainOn.Completion or TrainOn.Last && labels is null)
            throw BadRowException.Malformed($"a row of ids without labels has no turns to pick from, and --train-on is {Word(options.TrainOn)}",
                "give labels, or pass --train-on all");
        return new EncodedRow(ids, labels ?? ids, null, null, []);

        void SameLength(int[] other, string name)
        {
            if (other.Length != ids.Length)
                throw BadRowException.Malformed($"'{name}' has {other.Length} entries and 'input_ids' has {ids.Length}; they must be equal");
        }
    }

    private static string Word(TrainOn which) => which.ToString().ToLowerInvariant();
}
