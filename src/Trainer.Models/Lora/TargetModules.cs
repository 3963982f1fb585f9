using System.Buffers;
using System.Text.RegularExpressions;
using Trainer.Models.Parts;

namespace Trainer.Models.Lora;

/// <summary>Which modules are adapted: all linears but the head, a list of names or suffixes, or one regular expression over whole module paths.</summary>
public sealed record TargetModules
{
    private static readonly SearchValues<char> PatternSigns = SearchValues.Create("*+?()[]{}|^$\\");
    private readonly Regex? _pattern;

    private TargetModules(IReadOnlyList<string> names, Regex? pattern, bool all)
    {
        Names = names;
        _pattern = pattern;
        IsAllLinear = all;
    }

    /// <summary>Every linear but the head.</summary>
    public static TargetModules AllLinear { get; } = new([], null, true);

    /// <summary>Names or suffixes; empty for the other two kinds.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>The regular expression, or null.</summary>
    public string? Pattern { get; private init; }

    /// <summary>Whether it is all-linear.</summary>
    public bool IsAllLinear { get; }

    /// <summary>Reads <c>all-linear</c>, a list of names, or one regular expression (a single value with any of <c>*+?()[]{}|^$\</c>).</summary>
    /// <param name="values">As the user gave them.</param>
    /// <exception cref="AdapterOptionException">Empty, or not a regular expression.</exception>
    public static TargetModules Parse(IReadOnlyList<string> values)
    {
        var names = values.Select(value => value.Trim()).Where(value => value.Length > 0).ToList();
        if (names.Count == 0) throw new AdapterOptionException("--target-modules is empty; give all-linear, a list of module names or one regular expression");
        if (names is ["all-linear"]) return AllLinear;
        return names.Count == 1 && names[0].AsSpan().ContainsAny(PatternSigns) ? OfPattern(names[0]) : OfNames(names);
    }

    /// <summary>Adapts modules whose path is one of the names or ends with a dot and one.</summary>
    /// <param name="names">Names or suffixes.</param>
    public static TargetModules OfNames(IReadOnlyList<string> names) => new(names, null, false);

    /// <summary>Adapts modules whose whole path matches.</summary>
    /// <param name="pattern">Regular expression.</param>
    public static TargetModules OfPattern(string pattern) => new([], PathPattern.OfWhole(pattern, "--target-modules"), false) { Pattern = pattern };

    /// <summary>Whether a linear is adapted.</summary>
    /// <param name="linear">A linear of the layers, or the head.</param>
    public bool Matches(ModuleBlueprint linear)
    {
        ArgumentNullException.ThrowIfNull(linear);
        return IsAllLinear ? linear.Role != ModuleRole.Head : MatchesPath(linear.Path);
    }

    /// <summary>Whether a module's path is named, whatever kind of module it is; false for all-linear, which names none.</summary>
    internal bool MatchesPath(string path) => _pattern is not null ? PathPattern.Matches(_pattern, path) : Names.Any(name => EndsWith(path, name));

    /// <summary>PEFT's rule for names: equal, or the end of the path after a dot.</summary>
    internal static bool EndsWith(string path, string name) => path == name || path.EndsWith("." + name, StringComparison.Ordinal);
}
