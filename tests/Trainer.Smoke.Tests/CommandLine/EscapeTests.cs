using System.Text.Json;

namespace Trainer.Smoke.Tests.CommandLine;

/// <summary>Text from files, names and words never controls the terminal that shows it.</summary>
[Trait("ring", "smoke")]
public sealed class EscapeTests : IDisposable
{
    // Window title, clear screen, colour, C1's one-byte escape, backspace, carriage return, bell.
    private const string Evil = "\u001b]0;title\u0007 \u001b[2J\u001b[31m \u009b31m \b\b\r end";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Rows_columns_names_words_and_recipes_are_shown_and_do_not_act()
    {
        var rows = _folder.File("rows.jsonl", JsonSerializer.Serialize(new Dictionary<string, string> { ["text"] = Evil, ["extra" + Evil] = "x" }) + "\n");
        var config = _folder.File("m/config.json", JsonSerializer.Serialize(new { model_type = Evil }));
        var recipe = _folder.File("r.yaml", $"\"lo{JsonSerializer.Serialize(Evil)[1..^1]}\": 3\n");
        string[][] commands =
        [
            ["data", "show", "--model", "tiny", rows],
            ["data", "check", "--model", "tiny", rows],
            ["tokenize", "--model", "tiny", Evil],
            ["inspect", Path.GetDirectoryName(config)!],
            ["inspect", "none" + Evil],
            ["plan", recipe],
            ["train", "--lora" + Evil],
        ];
        Parallel.ForEach(commands, new ParallelOptions { MaxDegreeOfParallelism = 2 }, words =>
        {
            var result = TrainerProgram.RunWarm(words);
            var shown = result.Output + result.Error;
            Assert.DoesNotContain(shown, letter => char.IsControl(letter) && letter is not ('\n' or '\t'));
            // A token of a byte-level vocabulary is written in letters anyway, and names of columns with blanks in place of controls.
            Assert.True(words[0] is "tokenize" or "data" || shown.Contains('␛') || shown.Contains("\\u001b", StringComparison.Ordinal),
                $"{string.Join(' ', words)}: {shown}");
        });
    }
}
