using System.CommandLine;
using System.CommandLine.Parsing;
using Trainer.Training.Options;

namespace Trainer.Cli.CommandLine;

/// <summary>The commands as System.CommandLine sees them, and the way back to ours.</summary>
internal sealed class CommandTree
{
    private readonly RootCommand _root = new("LoRA and QLoRA fine-tuning of language models, without Python.");
    private readonly Dictionary<Command, CommandSpec> _specs = [];
    private readonly Dictionary<Command, (Dictionary<Setting, Option<string[]>> Options, Argument<string[]> Words)> _parts = [];

    // What other tools call it.
    private static readonly Dictionary<string, string> PeerVerbs = new()
    {
        ["finetune"] = "train", ["fine-tune"] = "train", ["sft"] = "train", ["lora"] = "train", ["qlora"] = "train", ["finetune-lora"] = "train",
        ["fit"] = "train", ["run"] = "train",
        ["pretrain"] = "train", ["fuse"] = "merge", ["merge-lora"] = "merge", ["merge-adapter"] = "merge", ["evaluate"] = "eval", ["test"] = "eval",
        ["perplexity"] = "eval", ["validate"] = "eval",
        ["infer"] = "generate", ["inference"] = "generate", ["predict"] = "generate", ["complete"] = "generate", ["server"] = "serve", ["api"] = "serve",
        ["vllm-serve"] = "serve",
        ["preprocess"] = "data check", ["dataset"] = "data check", ["convert"] = "quantize", ["migrate"] = "import", ["list"] = "runs", ["ls"] = "runs",
        ["ps"] = "runs", ["continue"] = "resume",
        ["info"] = "inspect", ["env"] = "doctor", ["diagnose"] = "doctor", ["pull"] = "download", ["benchmark"] = "bench",
        ["validate-config"] = "train --dry-run", ["config-schema"] = "schema",
    };

    public CommandTree(CommandSpec root)
    {
        // The built-in help and version would be second voices beside ours.
        _root.Options.Clear();
        _root.Directives.Clear();
        Fill(_root, root);
    }

    private void Fill(Command command, CommandSpec spec)
    {
        _specs[command] = spec;
        var options = new Dictionary<Setting, Option<string[]>>();
        foreach (var setting in AllSettings(spec))
        {
            string[] aliases = [.. setting.Aliases.Select(alias => "--" + alias), .. setting.Short is null ? Array.Empty<string>() : [setting.Short]];
            var option = new Option<string[]>(setting.Option, aliases)
            {
                Arity = setting.Kind == SettingKind.Flag || setting.Bare is not null ? ArgumentArity.ZeroOrMore : ArgumentArity.OneOrMore,
                AllowMultipleArgumentsPerToken = setting.TakesMany,
            };
            options[setting] = option;
            command.Options.Add(option);
        }
        var words = new Argument<string[]>("words") { Arity = ArgumentArity.ZeroOrMore };
        if (spec.Subcommands.Count == 0) command.Arguments.Add(words);
        _parts[command] = (options, words);
        foreach (var below in spec.Subcommands)
        {
            var child = new Command(below.Name, below.Summary);
            Fill(child, below);
            command.Subcommands.Add(child);
        }
    }

    public static IEnumerable<Setting> AllSettings(CommandSpec spec) => spec.Settings.Concat(CommonSettings.Everywhere).DistinctBy(setting => setting.Name);

    /// <summary>Parses the words; throws <see cref="UsageException"/> with every fault.</summary>
    public ParsedCommand Parse(string[] words)
    {
        var spec = SpecOf(words, out var depth, out var path);
        var faults = new List<string>();
        var known = AllSettings(spec).ToList();
        // What stands behind a command that is none belongs to it, and would only be unknown too.
        if (spec.Subcommands.Count > 0 && words.Length > depth && !words[depth].StartsWith('-'))
            throw new UsageException(UnknownCommand(words[depth], path, spec));
        string[] normalized = [.. words[..depth], .. WithoutUnknown(TokenNormalizer.Normalize(words[depth..], known), words, path, known, faults)];
        var result = _root.Parse(normalized, new ParserConfiguration { EnablePosixBundling = false, ResponseFileTokenReplacer = null });
        var command = result.CommandResult.Command;
        var (options, words2) = _parts[command];
        var positionals = new List<string>();
        foreach (var word in spec.Subcommands.Count == 0 ? result.GetValue(words2) ?? [] : [.. result.UnmatchedTokens])
        {
            if (spec.Subcommands.Count > 0) faults.Add(UnknownCommand(word, path, spec));
            else positionals.Add(word);
        }
        if (positionals.Count > spec.MaxPositionals && spec.Subcommands.Count == 0)
            faults.Add($"'{positionals[spec.MaxPositionals]}' is one word too many for 'trainer {path}'; options start with --, and values with spaces need "
                + "quotes");
        var values = new Dictionary<string, SettingValue>();
        foreach (var (setting, option) in options)
        {
            if (result.GetResult(option) is not { Implicit: false } given) continue;
            var items = given.Tokens.Select(token => new SettingItem(token.Value)).ToList();
            if (items.Count == 0 && setting.Kind != SettingKind.Flag && setting.Bare is null)
                faults.Add($"{AsTyped(given.IdentifierToken?.Value ?? setting.Option, words)} needs a value: {setting.Value}");
            values[setting.Key] = new SettingValue(AsTyped(given.IdentifierToken?.Value ?? setting.Option, words), items);
        }
        var help = values.ContainsKey(CommonSettings.Help.Key);
        if (faults.Count > 0 && !help) throw new UsageException(faults);
        return new ParsedCommand(spec, path, values, positionals, help);
    }

    /// <summary>Takes unknown options (and the word after each, likely its value) out, so that an option that takes many words cannot swallow them.</summary>
    private static List<string> WithoutUnknown(string[] words, string[] typed, string path, List<Setting> known, List<string> faults)
    {
        var names = known.SelectMany(setting => setting.AllNames.Select(name => "--" + name).Append(setting.Short ?? "--help")).ToHashSet();
        var kept = new List<string>();
        for (var i = 0; i < words.Length; i++)
        {
            var word = words[i];
            if (word == "--") return [.. kept, .. words[i..]];
            var isOption = word.Length > 1 && word[0] == '-' && !char.IsAsciiDigit(word[1]) && word[1] != '.';
            if (!isOption || names.Contains(word.Split('=')[0]))
            {
                kept.Add(word);
                continue;
            }
            faults.Add(UnknownOption(AsTyped(word.Split('=')[0], typed), path, known));
            if (!word.Contains('=') && i + 1 < words.Length && !words[i + 1].StartsWith('-')) i++;
        }
        return kept;
    }

    private CommandSpec SpecOf(string[] words, out int depth, out string path)
    {
        var (spec, names) = (_specs[_root], new List<string>());
        foreach (var word in words)
        {
            if (spec.Subcommands.FirstOrDefault(below => below.Name == word) is not { } next) break;
            spec = next;
            names.Add(word);
        }
        depth = names.Count;
        path = string.Join(' ', names);
        return spec;
    }

    /// <summary>The spelling in the user's own words, snake_case where it was.</summary>
    private static string AsTyped(string identifier, string[] words) =>
        words.Select(word => word.Split('=')[0])
        .FirstOrDefault(word => word.StartsWith("--", StringComparison.Ordinal) && "--" + TokenNormalizer.Kebab(word[2..]) == identifier) ?? identifier;

    private static string UnknownOption(string typed, string path, List<Setting> known)
    {
        var name = TokenNormalizer.Kebab(typed.TrimStart('-'));
        if (known.Any(setting => setting.Name == "lora-rank") && PeerOptions.Answer(name) is { } answer) return $"unknown option '{typed}': {answer}";
        var near = DidYouMean.Nearest(name, known.SelectMany(setting => setting.AllNames));
        var help = path.Length == 0 ? "trainer --help" : $"trainer {path} --help";
        return $"unknown option '{typed}'" + (near is null ? $"; '{help}' lists them" : $"; did you mean '--{near}'?");
    }

    private static string UnknownCommand(string word, string path, CommandSpec spec)
    {
        if (path.Length == 0 && PeerVerbs.GetValueOrDefault(TokenNormalizer.Kebab(word)) is { } ours) return $"unknown command '{word}'; type: trainer {ours}";
        var near = DidYouMean.Nearest(word, spec.Subcommands.Select(below => below.Name));
        return $"unknown command '{(path.Length > 0 ? path + " " : "") + word}'"
            + (near is null ? $"; 'trainer {(path.Length > 0 ? path + " " : "")}--help' lists them" : $"; did you mean '{near}'?");
    }
}
