using System.Text.Json;
using Trainer.Data.Conversations;

namespace Trainer.Data.Rows;

/// <summary>A prompt or an answer: a text, or a list of messages.</summary>
/// <param name="Text">The text; empty for messages.</param>
/// <param name="Messages">The messages, or null.</param>
internal readonly record struct PreferenceText(string Text, JsonElement? Messages);

/// <summary>Prompt and answers of preference rows, in the shapes that people have them.</summary>
internal static class PreferenceTexts
{
    // How the hh-rlhf data set opens an answer.
    private const string Opened = "\n\nAssistant:";

    /// <summary>
    /// Prompt, chosen, rejected. The prompt is a column, or what both answers begin with: their common messages, or their common text up to the last
    /// "Assistant:" where there is one. Lists of messages win over a prompt that is a string.
    /// </summary>
    public static (PreferenceText Prompt, PreferenceText Chosen, PreferenceText Rejected) Pair(RowFields fields, bool hasTemplate)
    {
        if (fields["rejected_response"] is { } response) return Replaced(fields.Conversation()!.Value.Messages, response);
        var (chosen, rejected) = (Side(fields["chosen"]!.Value, "chosen"), Side(fields["rejected"]!.Value, "rejected"));
        if (Context(fields, hasTemplate, chosen.Messages is not null) is { } prompt)
        {
            if (prompt.Messages is null && chosen.Messages is null && rejected.Messages is null) return (prompt, chosen, rejected);
            var (whole, better, worse) = (AsMessages(prompt, "user"), AsMessages(chosen, "assistant"), AsMessages(rejected, "assistant"));
            // Answers may repeat the conversation that they answer.
            var repeated = prompt.Messages is null ? Common(better, worse) : Begins(better, whole) && Begins(worse, whole) ? whole.GetArrayLength() : 0;
            return repeated > 0
                ? (Slice(better, 0, repeated), Slice(better, repeated), Slice(worse, repeated))
                : (new("", whole), new("", better), new("", worse));
        }
        if (chosen.Messages is { } one && rejected.Messages is { } other)
        {
            var shared = Common(one, other);
            if (shared == 0)
                throw BadRowException.Malformed("chosen and rejected begin with different messages, so there is no common prompt",
                    "give the prompt in a column 'prompt'");
            return (Slice(one, 0, shared), Slice(one, shared), Slice(other, shared));
        }
        if (chosen.Messages is not null || rejected.Messages is not null)
            throw BadRowException.Malformed("one of chosen and rejected is a list of messages and the other is a string; they must be alike");
        var cut = CommonText(chosen.Text, rejected.Text);
        return (new(chosen.Text[..cut], null), new(chosen.Text[cut..], null), new(rejected.Text[cut..], null));
    }

    /// <summary>ms-swift's pair: what follows the last question of a conversation is wanted, and another answer in its place is not.</summary>
    private static (PreferenceText Prompt, PreferenceText Chosen, PreferenceText Rejected) Replaced(JsonElement conversation, JsonElement response)
    {
        var all = Expanded(conversation);
        var last = all.EnumerateArray().ToList().FindLastIndex(message => Role(message) == "user");
        return last < 0 || last == all.GetArrayLength() - 1
            ? throw BadRowException.Malformed("the conversation does not end with an answer of the assistant after a prompt")
            : (Slice(all, 0, last + 1), Slice(all, last + 1), new("", AsMessages(Side(response, "rejected_response"), "assistant")));
    }

    private static JsonElement Expanded(JsonElement list) =>
        Messages.Write(writer => MessageForms.All(list, "messages").ToList().ForEach(message => message.WriteTo(writer)));

    /// <summary>Prompt and answer of a labelled row.</summary>
    public static (PreferenceText Prompt, PreferenceText Answer) Feedback(RowFields fields, bool hasTemplate)
    {
        if ((fields["completion"] ?? fields["output"]) is { } given)
        {
            var answer = Side(given, fields["completion"] is null ? "output" : "completion");
            var prompt = Context(fields, hasTemplate, answer.Messages is not null) ?? throw BadRowException.Malformed("the row has an answer and no prompt");
            if (prompt.Messages is null && answer.Messages is null) return (prompt, answer);
            return (new("", AsMessages(prompt, "user")), new("", AsMessages(answer, "assistant")));
        }
        var all = Context(fields, hasTemplate, true)?.Messages is { } whole
            ? Expanded(whole)
            : throw BadRowException.Malformed("the row has no answer", "give prompt and completion, or messages that end with the assistant's");
        var count = all.GetArrayLength();
        if (count < 2 || Role(all[count - 1]) != "assistant")
            throw BadRowException.Malformed("the conversation does not end with an answer of the assistant after a prompt");
        return (Slice(all, 0, count - 1), Slice(all, count - 1));
    }

    /// <summary>A label: true or false, 1 or 0, or these as text.</summary>
    public static bool IsDesirable(JsonElement value)
    {
        var text = value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();
        return text.Trim().ToLowerInvariant() switch
        {
            "true" or "1" or "1.0" => true,
            "false" or "0" or "0.0" or "-1" => false,
            _ => throw BadRowException.Malformed($"column 'label' is {Shown(value, text)}; it must be true or false"),
        };
    }

    private static string Shown(JsonElement value, string text) => value.ValueKind switch
    {
        JsonValueKind.String => "a string that is neither true nor false",
        JsonValueKind.Number => text,
        _ => RowFields.Name(value),
    };

    private static PreferenceText? Context(RowFields fields, bool hasTemplate, bool answersAreMessages)
    {
        if (fields["prompt"] is { } prompt) return Side(prompt, "prompt");
        if (fields.Conversation() is { } conversation) return new("", conversation.Messages);
        if (fields["instruction"] is not { } instruction) return null;
        var (text, input) = (RowValue.Text(instruction, "instruction"), fields["input"] is { } given ? RowValue.Text(given, "input") : "");
        if (!hasTemplate && !answersAreMessages) return new(Alpaca.Prompt(text, input), null);
        var all = Alpaca.ToMessages(text, input, "", fields["system"], fields["history"]);
        return Slice(all, 0, all.GetArrayLength() - 1);
    }

    // One message (LLaMA-Factory), a list of them, or a text.
    private static PreferenceText Side(JsonElement value, string column) => value.ValueKind switch
    {
        JsonValueKind.Object => new("", Turns(Messages.Write(value.WriteTo), column)),
        JsonValueKind.Array => new("", Turns(value, column)),
        _ => new(RowValue.Text(value, column), null),
    };

    private static JsonElement Turns(JsonElement list, string column) =>
        list.GetArrayLength() > 0 ? list : throw BadRowException.Malformed($"column '{column}' holds no messages");

    private static JsonElement AsMessages(PreferenceText side, string role)
        => side.Messages ?? Messages.Write(writer => Messages.Write(writer, role, side.Text));

    private static PreferenceText Slice(JsonElement list, int begin, int? end = null) => new("", Messages.Write(writer =>
    {
        for (var i = begin; i < (end ?? list.GetArrayLength()); i++) list[i].WriteTo(writer);
    }));

    private static string? Role(JsonElement message)
    {
        if (message.ValueKind != JsonValueKind.Object || !message.TryGetProperty("role", out var role) && !message.TryGetProperty("from", out role))
            return null;
        return role.ValueKind == JsonValueKind.String ? Roles.Of(role.GetString()!) : null;
    }

    // Leading messages that are equal; the last of a list is its answer, never its prompt.
    private static int Common(JsonElement one, JsonElement other)
    {
        var most = Math.Min(one.GetArrayLength(), other.GetArrayLength()) - 1;
        var shared = 0;
        while (shared < most && JsonElement.DeepEquals(one[shared], other[shared])) shared++;
        return shared;
    }

    private static bool Begins(JsonElement list, JsonElement prompt)
    {
        if (list.GetArrayLength() <= prompt.GetArrayLength()) return false;
        for (var i = 0; i < prompt.GetArrayLength(); i++)
            if (!JsonElement.DeepEquals(list[i], prompt[i])) return false;
        return true;
    }

    private static int CommonText(string one, string other)
    {
        if (one == other)
            throw BadRowException.Malformed("chosen and rejected are the same answer: there is nothing to prefer", "remove the row, or pass --on-bad-row drop");
        var shared = one.AsSpan().CommonPrefixLength(other);
        var opened = one.LastIndexOf(Opened, Math.Max(0, shared - 1), StringComparison.Ordinal);
        if (opened >= 0 && opened + Opened.Length <= shared) return opened + Opened.Length;
        // A space before the first difference belongs to the answers.
        if (shared > 0 && one[shared - 1] == ' ') shared--;
        if (shared == 0)
            throw BadRowException.Malformed("chosen and rejected begin differently, so there is no common prompt", "give the prompt in a column 'prompt'");
        return shared;
    }
}
