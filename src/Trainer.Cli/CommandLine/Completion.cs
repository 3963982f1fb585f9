using System.Text;
using Trainer.Training.Options;

namespace Trainer.Cli.CommandLine;

/// <summary>Completion scripts for shells, made from the same tables as the help; they need nothing but the shell.</summary>
internal static class Completion
{
    public static string Bash(CommandSpec root)
    {
        var text = new StringBuilder("""
            # trainer completion for bash: source <(trainer completion bash)
            _trainer() {
              local cur prev path i word
              cur="${COMP_WORDS[COMP_CWORD]}"; prev="${COMP_WORDS[COMP_CWORD-1]}"; path=""
              for ((i = 1; i < COMP_CWORD; i++)); do
                word="${COMP_WORDS[i]}"
                case "$path/$word" in

            """.ReplaceLineEndings("\n"));
        foreach (var (path, _) in Walk(root).Where(pair => pair.Path.Length > 0))
            text.Append("      ").Append(path.Contains(' ') ? path.Replace(' ', '/') : "/" + path).Append(") path=\"").Append(path.Replace(' ', '/'))
                .Append("\";;\n");
        text.Append("    esac\n  done\n  case \"$path:$prev\" in\n");
        foreach (var (path, spec) in Walk(root))
            foreach (var setting in CommandTree.AllSettings(spec).Where(setting => setting.Choices.Length > 0))
                text.Append("    ").Append(path.Replace(' ', '/')).Append(':').Append(setting.Option).Append(") COMPREPLY=($(compgen -W \"")
                    .AppendJoin(' ', setting.Choices).Append("\" -- \"$cur\")); return;;\n");
        text.Append("  esac\n  case \"$path\" in\n");
        foreach (var (path, spec) in Walk(root))
            text.Append("    \"").Append(path.Replace(' ', '/')).Append("\") word=\"")
                .AppendJoin(' ', spec.Subcommands.Select(below => below.Name).Concat(Options(spec))).Append("\";;\n");
        return text.Append("""
              esac
              if [[ "$cur" == -* || ( -z "$path" && $COMP_CWORD -eq 1 ) || "$path" == data ]]; then COMPREPLY=($(compgen -W "$word" -- "$cur")); else COMPREPLY=($(compgen -f -- "$cur")); fi
            }
            complete -o filenames -F _trainer trainer

            """.ReplaceLineEndings("\n")).ToString();
    }

    public static string Zsh(CommandSpec root)
        => "#compdef trainer\nautoload -U +X bashcompinit && bashcompinit\n"
            + Bash(root).Replace("for bash: source <(trainer completion bash)", "for zsh: source <(trainer completion zsh)", StringComparison.Ordinal);

    public static string Fish(CommandSpec root)
    {
        var text = new StringBuilder("# trainer completion for fish: trainer completion fish | source\n");
        foreach (var below in root.Subcommands)
            text.Append("complete -c trainer -f -n __fish_use_subcommand -a ").Append(below.Name).Append(" -d ").Append(Quote(below.Summary)).Append('\n');
        foreach (var (path, spec) in Walk(root).Where(pair => pair.Path.Length > 0))
        {
            var condition = string.Join("; and ", path.Split(' ').Select(word => "__fish_seen_subcommand_from " + word));
            foreach (var child in spec.Subcommands)
                text.Append("complete -c trainer -f -n '").Append(condition).Append("' -a ").Append(child.Name).Append(" -d ").Append(Quote(child.Summary))
                    .Append('\n');
            foreach (var setting in CommandTree.AllSettings(spec))
            {
                text.Append("complete -c trainer -n '").Append(condition).Append("' -l ").Append(setting.ShownAsNo ? "no-" + setting.Name : setting.Name);
                if (setting.Choices.Length > 0) text.Append(" -x -a ").Append(Quote(string.Join(' ', setting.Choices)));
                else if (setting.Kind != SettingKind.Flag) text.Append(" -r");
                text.Append(" -d ").Append(Quote(setting.Help)).Append('\n');
            }
        }
        return text.ToString();
    }

    private static IEnumerable<string> Options(CommandSpec spec)
        => CommandTree.AllSettings(spec).Select(setting => setting.ShownAsNo ? "--no-" + setting.Name : setting.Option);

    /// <summary>Every command with its path, the program first.</summary>
    public static IEnumerable<(string Path, CommandSpec Spec)> Walk(CommandSpec spec, string path = "") =>
        spec.Subcommands.SelectMany(below => Walk(below, path.Length == 0 ? below.Name : path + " " + below.Name)).Prepend((path, spec));

    private static string Quote(string text) => "'" + text.Replace("'", "\\'", StringComparison.Ordinal) + "'";
}
