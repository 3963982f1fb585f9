using System.Text;
using Trainer.Training.Options;

namespace Trainer.Cli.CommandLine;

/// <summary>Help of a command: usage, what it does, options by group with defaults, an example to paste.</summary>
internal static class HelpWriter
{
    public static string Write(CommandSpec spec, string path, int width, bool colour)
    {
        var text = new StringBuilder();
        string Head(string title) => colour ? $"\u001b[1m{title}\u001b[0m" : title;
        width = Math.Clamp(width, 32, 110);
        var usage = $"trainer{(path.Length > 0 ? " " + path : "")}{(spec.Subcommands.Count > 0 ? " COMMAND" : "")}"
            + $"{(spec.Positional.Length > 0 ? " " + spec.Positional : "")} [options]";
        text.Append(Head("Usage:")).Append(' ').AppendLine(usage).AppendLine();
        foreach (var paragraph in (spec.Description.Length > 0 ? spec.Description : spec.Summary).Split('\n')) Wrap(text, paragraph, 0, width);
        if (spec.PositionalHelp.Length > 0)
        {
            text.AppendLine();
            Entry(text, "  " + spec.Positional, spec.PositionalHelp, width);
        }
        foreach (var group in spec.Subcommands.GroupBy(below => below.Group))
        {
            text.AppendLine().AppendLine(Head((group.Key.Length > 0 ? group.Key : "Commands") + ":"));
            foreach (var below in group) Entry(text, "  " + below.Name, below.Summary, width, 14);
        }
        if (spec.Examples.Count > 0)
        {
            text.AppendLine().AppendLine(Head(spec.Examples.Count == 1 ? "Example:" : "Examples:"));
            foreach (var (line, remark) in spec.Examples)
            {
                if (remark.Length > 0) Wrap(text, "# " + remark, 2, width);
                text.Append("  ").AppendLine(line);
            }
        }
        foreach (var group in CommandTree.AllSettings(spec).GroupBy(setting => setting.Group))
        {
            text.AppendLine().AppendLine(Head(group.Key + ":"));
            foreach (var setting in group) Entry(text, "  " + Left(setting), Right(setting), width);
        }
        if (path.Length == 0) text.AppendLine().AppendLine("'trainer COMMAND --help' tells all about one command.");
        return text.ToString();
    }

    internal static string Left(Setting setting)
    {
        var name = setting.ShownAsNo ? "--no-" + setting.Name : setting.Option;
        return (setting.Short is null ? "" : setting.Short + ", ") + name
            + (setting.Kind == SettingKind.Flag ? "" : setting.Bare is null ? " " + setting.Value : $" [{setting.Value}]");
    }

    internal static string Right(Setting setting)
    {
        var text = new StringBuilder(setting.Help);
        if (setting.Choices.Length > 0) text.Append(" One of ").AppendJoin(", ", setting.Choices).Append('.');
        if (setting.Default is not null && !setting.ShownAsNo) text.Append(" [default: ").Append(setting.Default).Append(']');
        else if (setting.DefaultNote is not null) text.Append(" [default: ").Append(setting.DefaultNote).Append(']');
        if (setting.Aliases.Length > 0) text.Append(" (also ").AppendJoin(", ", setting.Aliases.Select(alias => "--" + alias)).Append(')');
        return text.ToString();
    }

    private static void Entry(StringBuilder text, string left, string right, int width, int column = 34)
    {
        if (width < 64)
        {
            text.AppendLine(left);
            Wrap(text, right, 6, width);
            return;
        }
        if (left.Length > column - 2)
        {
            text.AppendLine(left);
            Wrap(text, right, column, width);
            return;
        }
        var wrapped = new StringBuilder();
        Wrap(wrapped, right, column, width);
        text.Append(left.PadRight(column)).Append(wrapped.ToString().AsSpan(column));
    }

    private static void Wrap(StringBuilder text, string paragraph, int indent, int width)
    {
        var at = 0;
        text.Append(' ', indent);
        foreach (var word in paragraph.Split(' '))
        {
            if (at > 0 && indent + at + 1 + word.Length > width)
            {
                text.AppendLine().Append(' ', indent);
                at = 0;
            }
            if (at > 0) text.Append(' ');
            text.Append(word);
            at += word.Length + (at > 0 ? 1 : 0);
        }
        text.AppendLine();
    }
}
