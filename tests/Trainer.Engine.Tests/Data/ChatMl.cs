using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Data;
using Trainer.Data.Conversations;
using Trainer.Data.Rows;

namespace Trainer.Engine.Tests.Data;

/// <summary>ChatML by hand: what a template engine would answer.</summary>
internal sealed class ChatMl : IChatRenderer
{
    public string Source => "chatml";
    public string ContentHash { get; init; } = "chatml";
    public string EndOfTurn { get; init; } = "<|im_end|>";

    public string Prompt(ChatRow row) => Render(row, TrainOn.All, 0).Text + "<|im_start|>assistant\n";

    public ChatText Render(ChatRow row, TrainOn which, int from)
    {
        var text = new StringBuilder();
        var spans = new List<(int, int)>();
        if (row.Tools is { } list) text.Append("<|im_start|>tools\n").Append(list.GetRawText()).Append("<|im_end|>\n");
        var turns = new List<int>();
        for (var i = 0; i < row.Turns.Count; i++)
        {
            var turn = row.Turns[i];
            text.Append("<|im_start|>").Append(turn.Role).Append('\n');
            var begin = text.Length;
            text.Append(turn.Verbatim ?? turn.Content);
            if (turn.Calls.Count > 0) text.Append(new JsonArray([.. turn.Calls.Select(call => call.DeepClone())]).ToJsonString());
            text.Append(EndOfTurn);
            if (turn.IsAssistant && turn.IsTrained && i >= from)
            {
                spans.Add((begin, text.Length));
                turns.Add(i);
            }
            text.Append('\n');
        }
        return new ChatText(text.ToString(), which == TrainOn.Last
            ? [.. spans.TakeLast(1)] : spans) { TrainedTurns = which == TrainOn.Last ? [.. turns.TakeLast(1)] : turns };
    }
}
