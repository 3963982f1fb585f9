using Trainer.Training.Options;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Trainer.Cli.Options;

/// <summary>Refuses YAML that a small file can make endless: nesting without end, and aliases, which can hold themselves or each other a
/// thousandfold.</summary>
internal static class YamlGuard
{
    /// <summary>Levels of lists and mappings; a recipe has three.</summary>
    public const int MostLevels = 32;

    /// <summary>Walks the events of a text, which needs no more memory however deep it is nested.</summary>
    /// <exception cref="UsageException">It is too deep, or has aliases.</exception>
    /// <exception cref="YamlException">It is not YAML.</exception>
    public static void Check(string text, string path)
    {
        var parser = new Parser(new StringReader(Shallow(text, path)));
        var level = 0;
        while (parser.MoveNext())
        {
            level += parser.Current switch { MappingStart or SequenceStart => 1, MappingEnd or SequenceEnd => -1, _ => 0 };
            if (level > MostLevels) throw TooDeep(path, parser.Current!.Start.Line);
            if (parser.Current is AnchorAlias alias)
                throw new UsageException($"'*{alias.Value}' ({path}:{alias.Start.Line}) stands for another place of the file, which recipes do not take; "
                    + "write the value itself");
        }
    }

    // The scanner itself looks back at each open bracket: thousands of them in a row take it minutes.
    private static string Shallow(string text, string path)
    {
        var (open, line) = (0, 1);
        foreach (var letter in text)
        {
            if (letter == '\n') line++;
            if (letter is '[' or '{') open++;
            else if (letter is ']' or '}') open = Math.Max(0, open - 1);
            if (open > MostBrackets) throw TooDeep(path, line);
        }
        return text;
    }

    // Brackets in quoted text count here too, so the bound is one that no honest text reaches.
    private const int MostBrackets = 1000;

    private static UsageException TooDeep(string path, long line)
        => new($"recipe is nested deeper than {MostLevels} levels ({path}:{line}); write flat 'key: value' lines");
}
