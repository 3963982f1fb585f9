using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Data.Answers;
using Trainer.Data.Conversations;
using Trainer.Data.Reading;

namespace Trainer.Data.Rows;

internal sealed partial class RowEncoder
{
    /// <summary>A row as a question: what stands before its last answer, and that answer or the column that holds it.</summary>
    /// <exception cref="BadRowException">It asks nothing, or has no answer.</exception>
    public AnswerRow Question(RawRow raw, IReadOnlyDictionary<string, string>? columns, string? answer)
    {
        if (raw.Document is not null) throw NoQuestion("a text");
        var row = RowParser.Parse(raw);
        string? given = null;
        if (answer is not null && row.ValueKind == JsonValueKind.Object) (row, given) = Apart(row, columns, answer);
        var fields = RowFields.From(row, columns, raw.Textual);
        var (prompt, said) = fields.Kind switch
        {
            RowKind.Chat => Asked(Chat(fields), given),
            RowKind.Instruction when chat is not null => Asked(Chat(fields), given),
            RowKind.Instruction => (Plain(Alpaca.Prompt(RowValue.Text(fields["instruction"]!.Value, "instruction"),
                fields["input"] is { } input ? RowValue.Text(input, "input") : "")), RowValue.Text(fields["output"]!.Value, "output")),
            RowKind.Completion when fields["prompt"]!.Value.ValueKind == JsonValueKind.Array || fields["completion"]!.Value.ValueKind == JsonValueKind.Array =>
                Asked(Chat(fields), given),
            RowKind.Completion => (Plain(RowValue.Text(fields["prompt"]!.Value, "prompt")), RowValue.Text(fields["completion"]!.Value, "completion")),
            _ => throw NoQuestion(fields.Kind == RowKind.Text ? "a text" : "a row of token ids"),
        };
        if (prompt.Length == 0) throw BadRowException.Malformed("the row asks nothing: its prompt has no token");
        return new AnswerRow(raw.Source, prompt, given ?? said);
    }

    private static BadRowException NoQuestion(string what)
        => BadRowException.Malformed($"{what} asks nothing that could be answered", "give rows with turns, prompt and completion, or instruction and output");

    // The row without the answer's column; where that column is what makes the row one of a prompt and its completion, it stays as that.
    private static (JsonElement Row, string Answer) Apart(JsonElement row, IReadOnlyDictionary<string, string>? columns, string answer)
    {
        if (!row.TryGetProperty(answer, out var value) || value.ValueKind == JsonValueKind.Null)
            throw BadRowException.Malformed($"the row has no column '{answer}' for --answer",
                $"its columns are {string.Join(", ", row.EnumerateObject().Select(property => property.Name).Take(12))}");
        var text = value.ValueKind == JsonValueKind.String ? RowValue.Text(value, answer) : value.GetRawText();
        var copy = new JsonObject();
        foreach (var property in row.EnumerateObject())
            if (property.Name != answer) copy[property.Name] = JsonNode.Parse(property.Value.GetRawText());
        string Theirs(string ours) => columns?.GetValueOrDefault(ours) ?? ours;
        if (copy.ContainsKey(Theirs("prompt")) && !copy.ContainsKey(Theirs("completion"))) copy[Theirs("completion")] = text;
        else if (copy.ContainsKey(Theirs("instruction")) && !copy.ContainsKey(Theirs("output"))) copy[Theirs("output")] = text;
        return (JsonSerializer.SerializeToElement(copy), text);
    }

    private (int[] Prompt, string Answer) Asked(ChatRow row, string? given)
    {
        if (chat is null) throw BadRowException.Malformed("the row is a chat and the model has no chat template", "pass --chat-template FILE");
        var last = row.Turns[^1];
        if (!last.IsAssistant && given is null)
            throw BadRowException.Malformed("the conversation ends without an answer to compare with", "name the column that holds it with --answer");
        if (last.IsAssistant && given is null && last.Calls.Count > 0)
            throw BadRowException.Malformed("the last turn calls a tool, and calls are not compared", "leave such rows out");
        var before = last.IsAssistant ? [.. row.Turns.Take(row.Turns.Count - 1)] : row.Turns;
        if (before.Count == 0) throw BadRowException.Malformed("the conversation has no turn before its answer");
        return (tokenizer.Encode(chat.Prompt(row with { Turns = before }), addSpecialTokens: false).Ids, last.Content);
    }

    private int[] Plain(string prompt)
    {
        var (ids, offsets) = tokenizer.Encode(prompt, addSpecialTokens: true);
        // A tokenizer that closes every text itself would end it before the answer.
        return ids.Length > 1 && tokenizer.EosId == ids[^1] && offsets[^1].Start == offsets[^1].End ? ids[..^1] : ids;
    }
}
