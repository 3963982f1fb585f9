using System.Text.Json;
using Trainer.Data.Conversations;

namespace Trainer.Data.Rows;

internal sealed partial class RowEncoder
{
    private (EncodedRow, bool) Conversation(RowFields fields) => Rendered(Chat(fields), 0);

    /// <summary>A prompt and a completion of messages, of which the prompt's are not trained.</summary>
    private (EncodedRow, bool) PromptMessages(RowFields fields)
    {
        var row = Chat(fields);
        return Rendered(row, row.LastList);
    }

    /// <summary>The conversation that a row is: of messages, of a prompt and a completion (either may be a text, the user's or the assistant's), or of an
    /// instruction.</summary>
    private static ChatRow Chat(RowFields fields)
    {
        if (fields.Kind == RowKind.Instruction)
        {
            var (instruction, output) = (RowValue.Text(fields["instruction"]!.Value, "instruction"), RowValue.Text(fields["output"]!.Value, "output"));
            var input = fields["input"] is { } given ? RowValue.Text(given, "input") : "";
            return ChatReader.Read([(Alpaca.ToMessages(instruction, input, output, fields["system"], fields["history"]), "messages")]);
        }
        if (fields.Kind == RowKind.Completion)
        {
            var (prompt, completion) = (Turns(fields, "prompt", Turn.User), Turns(fields, "completion", Turn.Assistant));
            return ChatReader.Read([(prompt, "prompt"), (completion, "completion")], fields["system"], Tools(fields), fields["chat_template_kwargs"]);
        }
        return ChatReader.Read([fields.Conversation()!.Value], fields["system"], Tools(fields), fields["chat_template_kwargs"]);
    }

    private static JsonElement Turns(RowFields fields, string column, string role) => fields[column]!.Value is { ValueKind: JsonValueKind.String } text
        ? Messages.Write(writer => Messages.Write(writer, role, RowValue.Text(text, column))) : RowValue.Array(fields[column]!.Value, column);

    private static ToolList Tools(RowFields fields) =>
        fields["tools"] is { } tools ? ToolList.Read(tools, "tools") : ToolList.Read(fields["functions"], "functions");

    /// <summary>Alpaca: a chat where the model has a template, else the prompt of the Stanford Alpaca project.</summary>
    private (EncodedRow, bool) Instruction(RowFields fields)
    {
        if (chat is not null) return Rendered(Chat(fields), 0);
        var instruction = RowValue.Text(fields["instruction"]!.Value, "instruction");
        var input = fields["input"] is { } given ? RowValue.Text(given, "input") : "";
        var output = RowValue.Text(fields["output"]!.Value, "output");
        if (fields["system"] is not null || fields["history"] is not null)
            throw BadRowException.Malformed("columns 'system' and 'history' need a chat template, and the model has none", "pass --chat-template FILE");
        return Joined(Alpaca.Prompt(instruction, input), output);
    }

    private (EncodedRow, bool) Rendered(ChatRow row, int from)
    {
        if (chat is null) throw BadRowException.Malformed("the row is a chat and the model has no chat template", "pass --chat-template FILE");
        row = row.With(options.Reasoning);
        var which = options.TrainOn switch
        {
            TrainOn.All => TrainOn.All,
            TrainOn.Last => TrainOn.Last,
            TrainOn.Completion when from == 0 => TrainOn.Last, // a chat's completion is its last answer
            _ => TrainOn.Assistant,
        };
        if (which != TrainOn.All && !row.Turns.Any(turn => turn.IsAssistant))
            throw new BadRowException(FaultKind.NothingTrained, "the conversation has no turn of the assistant, and so nothing to train on",
                "remove the row, or pass --drop-empty");
        var rendered = chat.Render(row, which, from);
        var (ids, offsets) = tokenizer.Encode(rendered.Text, addSpecialTokens: false);
        var encoded = which == TrainOn.All
            ? new EncodedRow(ids, ids, rendered.Text, offsets, [(0, rendered.Text.Length)])
            : EncodedRow.Mask(rendered.Text, ids, offsets, rendered.Spans);
        encoded = encoded with { MaskMethod = rendered.Method, PassedOver = [.. rendered.Losses.Select(loss => loss.Name).Distinct()], Notes = rendered.Notes };
        return (encoded with { Lost = Refused(rendered, row) }, row.Turns.Where((turn, i) => rendered.TrainedTurns.Contains(i)).Any(SaysNothing));
    }

    private static bool SaysNothing(Turn turn) => turn.Content.Trim().Length == 0 && turn.Calls.Count == 0 && !turn.HasReasoning;

    /// <summary>A trained turn that lost something trains what nobody wrote: an answer without its call, or without the thought that leads to it.</summary>
    private BadRowException? Refused(ChatText rendered, ChatRow row)
    {
        if (rendered.Losses.FirstOrDefault(loss => loss.IsPiece && loss.IsAssistant && rendered.TrainedTurns.Contains(loss.Message)
            && !options.AllowDropped.Contains(loss.What)) is not { } lost) return null;
        var what = lost.What switch { "tool_calls" => "the tool calls", "reasoning" => "the reasoning", _ => "words" };
        var way = lost.What switch
        {
            "reasoning" => "train without it by "
                + $"--reasoning {(row.Turns.ToList().FindLastIndex(turn => turn.Role == Turn.User) > lost.Message ? "last or strip" : "strip")}, pass another "
                + "template with --chat-template FILE",
            "tool_calls" => "pass a template that writes tool calls with --chat-template FILE",
            _ => "pass another template with --chat-template FILE",
        };
        return new BadRowException(FaultKind.LeftOut,
            $"the chat template leaves out {what} of the assistant's turn (message {lost.Message + 1}), which would be trained without",
            $"{way}, or let it go with --allow-dropped {lost.What}");
    }
}
