using System.Text.Json;
using Trainer.Data.Conversations;

namespace Trainer.Data.Rows;

internal sealed partial class RowEncoder
{
    /// <summary>A prompt that the model is to answer by itself: nothing of it is trained.</summary>
    private EncodedRow Prompt(RowFields fields)
    {
        var row = fields["prompt_ids"] is { } given ? new EncodedRow(Ids(given, "prompt_ids"), [], null, null, []) : Opening(fields);
        if (row.Ids.Length == 0) throw BadRowException.Malformed("the prompt is empty: there is nothing to answer");
        int[] labels = [.. Enumerable.Repeat(Example.IgnoredLabel, row.Ids.Length)];
        labels[0] = Example.MarkerOf(SegmentRole.Prompt);
        return row with { Labels = labels };
    }

    private EncodedRow Opening(RowFields fields)
    {
        if (fields["instruction"] is { } instruction)
        {
            var (task, input) = (RowValue.Text(instruction, "instruction"), fields["input"] is { } more ? RowValue.Text(more, "input") : "");
            return chat is null && fields["system"] is null && fields["history"] is null ? PlainOpening(Alpaca.Prompt(task, input))
                : ChatOpening([(Alpaca.ToMessages(task, input, "", fields["system"], fields["history"]), "instruction")], fields, system: null);
        }
        if (fields["prompt"] is { } prompt)
        {
            if (prompt.ValueKind == JsonValueKind.String && fields["system"] is null && fields["tools"] is null && fields["functions"] is null)
                return PlainOpening(RowValue.Text(prompt, "prompt"));
            return ChatOpening([(Turns(fields, "prompt", Turn.User), "prompt")], fields, fields["system"]);
        }
        return ChatOpening([fields.Conversation()!.Value], fields, fields["system"]);
    }

    /// <summary>A conversation up to where the assistant is to speak: what it says last is left to it.</summary>
    private EncodedRow ChatOpening(IEnumerable<(JsonElement Messages, string Column)> lists, RowFields fields, JsonElement? system)
    {
        if (chat is null) throw BadRowException.Malformed("the row is a chat and the model has no chat template", "pass --chat-template FILE");
        var row = ChatReader.Read(lists, system, Tools(fields), fields["chat_template_kwargs"]).With(options.Reasoning);
        var turns = row.Turns.ToList();
        while (turns.Count > 0 && turns[^1].IsAssistant) turns.RemoveAt(turns.Count - 1);
        if (turns.Count == 0) throw BadRowException.Malformed("the conversation has no turn that could be answered");
        var text = chat.Prompt(row with { Turns = turns });
        var (ids, offsets) = tokenizer.Encode(text, addSpecialTokens: false);
        return new EncodedRow(ids, [], text, offsets, []) { Notes = row.Notes };
    }

    private EncodedRow PlainOpening(string text)
    {
        if (string.IsNullOrWhiteSpace(text)) throw BadRowException.Malformed("the prompt is empty: there is nothing to answer");
        var (_, offsets) = tokenizer.Encode(text, addSpecialTokens: true);
        var ids = Plain(text);
        return new EncodedRow(ids, [], text, offsets[..ids.Length], []);
    }

    private EncodedRow[] FitPrompt(EncodedRow row) => row.Ids.Length <= options.MaxSeqLength ? [row]
        : throw new BadRowException(FaultKind.TooLong, $"the prompt has {row.Ids.Length} tokens, more than --max-seq-length {options.MaxSeqLength}",
            "raise --max-seq-length where the model has more positions, or pass --on-too-long drop");
}
