using Trainer.Training.Options;

namespace Trainer.Cli.CommandLine;

/// <summary>Brings every accepted spelling of an option to the one the parser knows.</summary>
internal static class TokenNormalizer
{
    /// <summary>snake_case to kebab-case, <c>--no-x</c> of a flag to <c>--x=false</c>, habits of other tools to ours.</summary>
    public static string[] Normalize(IReadOnlyList<string> tokens, IReadOnlyList<Setting> settings)
    {
        var flags = settings.Where(setting => setting.Kind == SettingKind.Flag).SelectMany(setting => setting.AllNames).ToHashSet();
        var known = settings.SelectMany(setting => setting.AllNames).ToHashSet();
        var shorts = settings.Where(setting => setting.Short is not null).ToDictionary(setting => setting.Short!, setting => setting.Option);
        var optional = settings.Where(setting => setting.Bare is not null).SelectMany(setting => setting.AllNames.Select(name => (name, setting)))
            .ToDictionary(pair => pair.name, pair => pair.setting);
        var result = new List<string>();
        var literal = false;
        for (var i = 0; i < tokens.Count; i++)
        {
            var token = tokens[i];
            if (!literal && shorts.TryGetValue(token, out var full)) token = full;
            literal |= token == "--";
            // `learning_rate=1e-5`, as torchtune and Hydra take it; never what is the value of the option before it.
            if (!literal && Assignment(token) is { } key && known.Contains(key) && known.Contains("lora-rank") && (i == 0 || !IsWaiting(tokens[i - 1])))
                token = "--" + token;
            if (literal || token.Length < 3 || !token.StartsWith("--", StringComparison.Ordinal))
            {
                result.Add(token);
                continue;
            }
            var equals = token.IndexOf('=', StringComparison.Ordinal);
            var name = Kebab(equals < 0 ? token[2..] : token[2..equals]);
            var value = equals < 0 ? null : token[(equals + 1)..];
            if (!known.Contains(name) && name.StartsWith("no-", StringComparison.Ordinal) && flags.Contains(name[3..]))
            {
                value = value is null || IsTrue(value) ? "false" : "true";
                name = name[3..];
            }
            if ((!known.Contains(name) || Habits.IsOnlyAnothers(name, value ?? Following(tokens, i))) && known.Contains("model")
                && Habits.Rewrite(name, value ?? Following(tokens, i), known) is { } habit)
            {
                if (habit.Word.Length > 0) result.Add(habit.Word);
                if (habit.UsedFollowing && value is null) i++;
                continue;
            }
            // Joined here, so that an option that may stand alone never swallows the file name behind it.
            if (value is null && flags.Contains(name)) value = i + 1 < tokens.Count && IsTruth(tokens[i + 1]) ? tokens[++i] : "true";
            if (value is null && optional.TryGetValue(name, out var setting))
                value = Following(tokens, i) is { } word && IsValueOf(setting, word) ? tokens[++i] : setting.Bare;
            result.Add("--" + name + (value is null ? "" : "=" + value));
        }
        return [.. result];
    }

    /// <summary>The name before the equals sign of a word that is no option, or null.</summary>
    private static string? Assignment(string token) =>
        token.Length > 2 && token[0] != '-' && token.IndexOf('=') is > 0 and var at
        && token[..at].All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '_' or '-') ? Kebab(token[..at]) : null;

    private static bool IsWaiting(string token) => token.StartsWith('-') && !token.Contains('=');

    public static string Kebab(string name) => name.Replace('_', '-').ToLowerInvariant();

    private static string? Following(IReadOnlyList<string> tokens, int i) =>
        i + 1 < tokens.Count && !tokens[i + 1].StartsWith("--", StringComparison.Ordinal) ? tokens[i + 1] : null;

    private static bool IsValueOf(Setting setting, string word) =>
        IsTruth(word) || (setting.Kind == SettingKind.Choice
        ? setting.Choices.Contains(Kebab(word)) : !word.EndsWith(".yaml", StringComparison.OrdinalIgnoreCase)
            && !word.EndsWith(".yml", StringComparison.OrdinalIgnoreCase));

    private static bool IsTruth(string word) => word.ToLowerInvariant() is "true" or "false" or "yes" or "no" or "on" or "off";

    private static bool IsTrue(string word) => word.ToLowerInvariant() is "true" or "yes" or "on" or "1";
}
