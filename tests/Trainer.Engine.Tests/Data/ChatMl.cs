using System.Text;
using System.Text.Json;
using Trainer.Data;
using Trainer.Data.Rows;

namespace Trainer.Engine.Tests.Data;

/// <summary>ChatML by hand: what a template engine would answer.</summary>
internal sealed class ChatMl : IChatRenderer
{
    public string Source => "chatml";
    public string ContentHash { get; init; } = "chatml";
    public string EndOfTurn { get; init; } = "<|im_end|>";

    public ChatText Render(JsonElement messages, JsonElement? tools, TrainOn which, int from)
    {
        var text = new StringBuilder();
        var spans = new List<(int, int)>();
        if (tools is { } list) text.Append("<|im_start|>tools\n").Append(list.GetRawText()).Append("<|im_end|>\n");
        var i = 0;
        foreach (var message in messages.EnumerateArray())
        {
            var role = message.GetProperty("role").GetString()!;
            text.Append("<|im_start|>").Append(role).Append('\n');
            var begin = text.Length;
            if (message.TryGetProperty("content", out var content)) text.Append(content.GetString());
            if (message.TryGetProperty("tool_calls", out var calls)) text.Append(calls.GetRawText());
            text.Append(EndOfTurn);
            if (role == "assistant" && i >= from) spans.Add((begin, text.Length));
            text.Append('\n');
            i++;
        }
        return new ChatText(text.ToString(), which == TrainOn.Last ? [.. spans.TakeLast(1)] : spans);
    }
}
