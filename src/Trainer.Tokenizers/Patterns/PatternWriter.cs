using System.Text;

namespace Trainer.Tokenizers.Patterns;

/// <summary>Writes a pattern tree for .NET's engine, in stand-ins.</summary>
internal static class PatternWriter
{
    public static string Write(PatternNode node, PatternAlphabet alphabet)
    {
        var text = new StringBuilder();
        Write(node, alphabet, text);
        return text.ToString();
    }

    /// <summary>The fewest letters a match can have.</summary>
    public static long Shortest(PatternNode node) => node switch
    {
        PatternNode.Letter => 1,
        PatternNode.Sequence sequence => sequence.Items.Sum(Shortest),
        PatternNode.Choice choice => choice.Items.Min(Shortest),
        PatternNode.Repeat repeat => repeat.Least == 0 ? 0 : Math.Min(1, Shortest(repeat.Item)),
        PatternNode.Atomic atomic => Shortest(atomic.Item),
        _ => 0,
    };

    private static void Write(PatternNode node, PatternAlphabet alphabet, StringBuilder text)
    {
        switch (node)
        {
            case PatternNode.Letter letter:
                text.Append(alphabet.ClassOf(letter.Set));
                break;
            case PatternNode.Sequence sequence:
                foreach (var item in sequence.Items)
                    Write(item, alphabet, text);
                break;
            case PatternNode.Choice choice:
                text.Append("(?:");
                for (var i = 0; i < choice.Items.Count; i++)
                {
                    text.Append(i > 0 ? "|" : "");
                    Write(choice.Items[i], alphabet, text);
                }
                text.Append(')');
                break;
            case PatternNode.Repeat repeat:
                text.Append(repeat.Mode == RepeatMode.Possessive ? "(?>" : "").Append("(?:");
                Write(repeat.Item, alphabet, text);
                text.Append(')').Append(Count(repeat)).Append(repeat.Mode switch { RepeatMode.Lazy => "?", RepeatMode.Possessive => ")", _ => "" });
                break;
            case PatternNode.Atomic atomic:
                text.Append("(?>");
                Write(atomic.Item, alphabet, text);
                text.Append(')');
                break;
            case PatternNode.Look look:
                text.Append("(?").Append(look.Ahead ? "" : "<").Append(look.Negative ? '!' : '=');
                Write(look.Item, alphabet, text);
                text.Append(')');
                break;
            case PatternNode.Edge edge:
                text.Append(edge.AtEnd ? @"\z" : @"\A");
                break;
        }
    }

    private static string Count(PatternNode.Repeat repeat) => (repeat.Least, repeat.Most) switch
    {
        (0, -1) => "*",
        (1, -1) => "+",
        (0, 1) => "?",
        var (least, most) => most < 0 ? $"{{{least},}}" : $"{{{least},{most}}}",
    };
}
