using System.Text.Json;

namespace Trainer.Data.Rows;

internal sealed partial class RowEncoder
{
    private (EncodedRow, bool) Conversation(RowFields fields)
    {
        JsonElement messages;
        JsonElement? tools = fields["tools"] is { } list ? RowValue.Checked(RowValue.Array(list, "tools"), "tools") : null;
        if (fields["conversations"] is { } shared)
        {
            shared = RowValue.Array(shared, "conversations");
            (messages, tools) = ShareGpt.ToMessages(shared, fields["system"], tools);
        }
        else messages = RowValue.Array(fields["messages"]!.Value, "messages");
        return Rendered(Messages.Checked(messages, fields["conversations"] is null ? "messages" : "conversations"), tools, 0);
    }

    private (EncodedRow, bool) PromptMessages(JsonElement prompt, JsonElement completion, JsonElement? tools)
    {
        prompt = RowValue.Array(prompt, "prompt");
        completion = RowValue.Array(completion, "completion");
        Messages.Checked(prompt, "prompt");
        Messages.Checked(completion, "completion");
        var all = Messages.Write(writer =>
        {
            foreach (var message in prompt.EnumerateArray()) message.WriteTo(writer);
            foreach (var message in completion.EnumerateArray()) message.WriteTo(writer);
        });
        return Rendered(all, tools is { } list ? RowValue.Checked(RowValue.Array(list, "tools"), "tools") : null, prompt.GetArrayLength());
    }

    /// <summary>Alpaca: a chat where the model has a template, else the prompt of the Stanford Alpaca project.</summary>
    private (EncodedRow, bool) Instruction(RowFields fields)
    {
        var instruction = RowValue.Text(fields["instruction"]!.Value, "instruction");
        var input = fields["input"] is { } given ? RowValue.Text(given, "input") : "";
        var output = RowValue.Text(fields["output"]!.Value, "output");
        if (chat is not null) return Rendered(Alpaca.ToMessages(instruction, input, output, fields["system"], fields["history"]), null, 0);
        if (fields["system"] is not null || fields["history"] is not null)
            throw BadRowException.Malformed("columns 'system' and 'history' need a chat template, and the model has none", "pass --chat-template FILE");
        return Joined(Alpaca.Prompt(instruction, input), output);
    }

    private (EncodedRow, bool) Rendered(JsonElement messages, JsonElement? tools, int from)
    {
        if (chat is null) throw BadRowException.Malformed("the row is a chat and the model has no chat template", "pass --chat-template FILE");
        if (tools is { } list && list.GetArrayLength() == 0) tools = null;
        var which = options.TrainOn switch
        {
            TrainOn.All => TrainOn.All,
            TrainOn.Last => TrainOn.Last,
            TrainOn.Completion when from == 0 => TrainOn.Last, // a chat's completion is its last answer
            _ => TrainOn.Assistant,
        };
        var rendered = chat.Render(messages, tools, which, from);
        var (ids, offsets) = tokenizer.Encode(rendered.Text, addSpecialTokens: false);
        var row = which == TrainOn.All
            ? new EncodedRow(ids, ids, rendered.Text, offsets, [(0, rendered.Text.Length)])
            : EncodedRow.Mask(rendered.Text, ids, offsets, rendered.Spans);
        var passedOver = PassedOver.Find(messages, tools, rendered.Text);
        return (row with { MaskMethod = rendered.Method, PassedOver = passedOver }, Messages.HasEmptyAnswer(messages));
    }
}
