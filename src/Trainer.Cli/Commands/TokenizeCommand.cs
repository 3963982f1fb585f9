using System.Text.Json;
using Trainer.Checkpoints.Atomic;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Tokenizers;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer tokenize</c>: ids, pieces and offsets of text.</summary>
internal static class TokenizeCommand
{
    private static readonly Setting Input = new("input", SettingKind.Text, "Text",
        "File of JSON strings, one a line ('-' is standard input).") { Short = "-i", Value = "FILE" };
    private static readonly Setting Special = new("special", SettingKind.Flag, "Text",
        "Add no beginning-of-text token or the like.") { Default = "true", ShownAsNo = true, Aliases = ["special-tokens"] };

    public static readonly CommandSpec Spec = new("tokenize", "Ids, pieces and offsets of text.", Run)
    {
        Group = "Data",
        Description = "With --json, one object a line: {\"ids\":[...],\"offsets\":[[start,end],...]}; offsets count Unicode characters (code points).",
        Positional = "[TEXT]",
        PositionalHelp = "Text to tokenize; without it and --input, standard input is one text.",
        MaxPositionals = 1,
        Settings = [ModelSettings.Model, TextSource.Tokenizer, Input, Special, CommonSettings.Json],
        Examples = [("trainer tokenize --model tiny 'Hello world'", ""),
            ("trainer tokenize --tokenizer DIR --input strings.jsonl --no-special --json", "each line a JSON string")],
    };

    private static int Run(Invocation invocation)
    {
        var values = invocation.Values;
        var (input, special) = (values.Text(Input), values.Flag(Special) ?? true);
        if (input is not null && invocation.Positionals.Count > 0)
            values.Fault($"{values.Origin(Input)} and the text '{invocation.Positionals[0]}' both say what to tokenize; keep one");
        if (input is not (null or "-") && !File.Exists(input)) values.Fault($"{values.Origin(Input)} '{input}': no such file");
        var tokenizer = TextSource.Load(values);
        foreach (var text in Texts(invocation, input))
        {
            var encoding = tokenizer.Encode(text, special);
            if (invocation.Json) invocation.Terminal.Out.WriteLine(Line(encoding, text));
            else Table(invocation, tokenizer, encoding);
        }
        return ExitCode.Done;
    }

    private static IEnumerable<string> Texts(Invocation invocation, string? input)
    {
        if (invocation.Positionals.Count > 0) return [invocation.Positionals[0]];
        return input is null ? [SmallFile.Rest(Console.In, "standard input")] : Strings(input == "-" ? Console.In : new StreamReader(input), input);
    }

    private static IEnumerable<string> Strings(TextReader reader, string name)
    {
        using (reader)
        {
            var number = 0;
            foreach (var line in SmallFile.Lines(reader, name))
            {
                number++;
                if (line.Length > 0) yield return Parse(line, name, number);
            }
        }
    }

    private static string Parse(string line, string name, int number)
    {
        try
        {
            return JsonSerializer.Deserialize<string>(line) ?? throw new CommandFailedException(ExitCode.BadData, $"null is no string ({name}:{number})");
        }
        catch (JsonException fault)
        {
            throw new CommandFailedException(ExitCode.BadData,
                $"not a JSON string ({name}:{number}): {fault.Message.Split(". Path")[0].TrimEnd('.')}; write each text as \"...\" on a line of its own");
        }
    }

    private static string Line(Encoding encoding, string text)
    {
        var before = CodePoints.Before(text);
        return JsonSerializer.Serialize(new { encoding.Ids, Offsets = encoding.Offsets.Select(span => new[] { before[span.Start], before[span.End] }) },
            Json.Compact);
    }

    private static void Table(Invocation invocation, HfTokenizer tokenizer, Encoding encoding)
    {
        var output = invocation.Terminal.Out;
        for (var i = 0; i < encoding.Ids.Length; i++)
        {
            var (start, end) = encoding.Offsets[i];
            output.WriteLine($"{encoding.Ids[i],8}  {start,5}-{end,-5} {tokenizer.TokenOf(encoding.Ids[i])}"
                + $"{(tokenizer.IsSpecial(encoding.Ids[i]) ? "  (special)" : "")}");
        }
        output.WriteLine($"{encoding.Ids.Length} tokens");
    }
}
