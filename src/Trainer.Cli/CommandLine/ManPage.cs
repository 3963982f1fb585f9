using System.Text;

namespace Trainer.Cli.CommandLine;

/// <summary>A manual page in roff, made from the same tables as the help.</summary>
internal static class ManPage
{
    /// <summary>The page of a command, or of the whole program where the path is empty.</summary>
    public static string Write(CommandSpec spec, string path)
    {
        var name = path.Length == 0 ? "trainer" : "trainer-" + path.Replace(' ', '-');
        var text = new StringBuilder($".TH {name.ToUpperInvariant()} 1 \"\" \"trainer\" \"User Commands\"\n");
        text.Append(".SH NAME\n").Append(Text($"{name} - {spec.Summary.TrimEnd('.')}")).Append('\n');
        text.Append(".SH SYNOPSIS\n.B ").Append(Text($"trainer{(path.Length > 0 ? " " + path : "")}")).Append('\n');
        text.Append(Text($"{(spec.Subcommands.Count > 0 ? "COMMAND " : "")}{(spec.Positional.Length > 0 ? spec.Positional + " " : "")}[options]")).Append('\n');
        text.Append(".SH DESCRIPTION\n");
        foreach (var paragraph in (spec.Description.Length > 0 ? spec.Description : spec.Summary).Split('\n')) text.Append(Text(paragraph)).Append("\n.PP\n");
        if (spec.PositionalHelp.Length > 0) Entry(text, spec.Positional, spec.PositionalHelp);
        foreach (var group in spec.Subcommands.GroupBy(below => below.Group))
        {
            text.Append(".SH ").Append(Text((group.Key.Length > 0 ? group.Key : "Commands").ToUpperInvariant())).Append('\n');
            foreach (var below in group) Entry(text, below.Name, below.Summary);
        }
        foreach (var group in CommandTree.AllSettings(spec).GroupBy(setting => setting.Group))
        {
            text.Append(".SH ").Append(Text(group.Key.ToUpperInvariant())).Append('\n');
            foreach (var setting in group) Entry(text, HelpWriter.Left(setting), HelpWriter.Right(setting));
        }
        if (spec.Examples.Count > 0) text.Append(".SH EXAMPLES\n");
        foreach (var (line, remark) in spec.Examples)
        {
            if (remark.Length > 0) text.Append(Text(remark)).Append(":\n");
            text.Append(".PP\n.nf\n").Append(Text("    " + line)).Append("\n.fi\n.PP\n");
        }
        return text.ToString();
    }

    private static void Entry(StringBuilder text, string left, string right)
        => text.Append(".TP\n.B ").Append(Text(left)).Append('\n').Append(Text(right)).Append('\n');

    // A backslash begins an escape, a dot or an apostrophe at the beginning of a line a request, and a plain dash is a hyphen that cannot be searched for.
    private static string Text(string text)
    {
        var plain = text.Replace("\\", "\\e", StringComparison.Ordinal).Replace("-", "\\-", StringComparison.Ordinal);
        return plain.Length > 0 && plain[0] is '.' or '\'' ? "\\&" + plain : plain;
    }
}
