using System.Text.Json;
using Trainer.Data.Conversations;

namespace Trainer.Data.Rows;

/// <summary>Rows of <c>instruction</c>, <c>input</c>, <c>output</c> (and LLaMA-Factory's <c>system</c> and <c>history</c>).</summary>
internal static class Alpaca
{
    /// <summary>The prompt the Stanford Alpaca project trained with (github.com/tatsu-lab/stanford_alpaca, train.py).</summary>
    public static string Prompt(string instruction, string input) => instruction.Trim().Length == 0 && input.Length > 0
        ? Prompt(input, "") : input.Length > 0
        ? "Below is an instruction that describes a task, paired with an input that provides further context. "
            + $"Write a response that appropriately completes the request.\n\n### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
        : "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### "
            + $"Instruction:\n{instruction}\n\n### Response:";

    /// <summary>A conversation: system, the rounds of the history, then instruction and input (a line apart) answered by the output.</summary>
    public static JsonElement ToMessages(string instruction, string input, string output, JsonElement? system, JsonElement? history) => Messages.Write(writer =>
    {
        if (system is { } given && RowValue.Text(given, "system") is { Length: > 0 } text) Messages.Write(writer, "system", text);
        if (history is { } rounds && !WireJson.IsAbsent(rounds))
        {
            var i = 0;
            foreach (var round in RowValue.Array(rounds, "history").EnumerateArray())
            {
                if (round.ValueKind != JsonValueKind.Array || round.GetArrayLength() != 2)
                    throw BadRowException.Malformed($"'history[{i}]' is no pair; each round must be [question, answer]");
                Messages.Write(writer, "user", RowValue.Text(round[0], $"history[{i}][0]"));
                Messages.Write(writer, "assistant", RowValue.Text(round[1], $"history[{i}][1]"));
                i++;
            }
        }
        Messages.Write(writer, "user", input.Length == 0 ? instruction : instruction.Trim().Length == 0 ? input : instruction + "\n" + input);
        Messages.Write(writer, "assistant", output);
    });
}
