using System.Globalization;

namespace Trainer.Training;

/// <summary>Arguments by name, checked against what their owner reads: one that it does not know is refused and never passed over.</summary>
internal sealed class Arguments
{
    private readonly Dictionary<string, string?> _values;

    private Arguments(Dictionary<string, string?> values) => _values = values;

    /// <summary>Reads the arguments given to an owner.</summary>
    /// <param name="option">The option that carries them, for messages.</param>
    /// <param name="owner">Name of the optimizer or schedule.</param>
    /// <param name="specs">What it reads.</param>
    /// <param name="given">What the user said.</param>
    /// <exception cref="OptionException">Names every argument that is unknown or out of range.</exception>
    public static Arguments Read(string option, string owner, IReadOnlyList<ArgumentSpec> specs, IReadOnlyDictionary<string, string> given)
    {
        var faults = new List<string>();
        var values = specs.ToDictionary(spec => spec.Name, spec => spec.Default, StringComparer.Ordinal);
        foreach (var (name, text) in given)
        {
            if (specs.FirstOrDefault(spec => spec.Name == name) is not { } spec)
            {
                var known = specs.Count == 0 ? "it takes none" : $"it takes {string.Join(", ", specs.Select(each => each.Name))}";
                faults.Add($"{option}: {owner} has no argument '{name}'; {known}");
                continue;
            }
            values[name] = text.ToLowerInvariant();
            if (Fault(spec, values[name]!) is { } fault) faults.Add($"{option}: '{name}' of {owner} is '{text}'; {fault}");
        }
        return faults.Count == 0 ? new Arguments(values) : throw new OptionException(string.Join("; ", faults));
    }

    /// <summary>A number; an argument without a default must be asked for with <see cref="Optional"/>.</summary>
    public double Number(string name) => Optional(name) ?? throw new InvalidOperationException($"argument '{name}' has no default");

    /// <summary>A number, or null where it was not given and has no default.</summary>
    public double? Optional(string name) => _values[name] is { } text ? double.Parse(text, CultureInfo.InvariantCulture) : null;

    /// <summary>A word.</summary>
    public string Word(string name) => _values[name] ?? "";

    /// <summary>A yes or no.</summary>
    public bool IsOn(string name) => _values[name] == "true";

    private static string? Fault(ArgumentSpec spec, string text)
    {
        if (spec.Words.Count > 0) return spec.Words.Contains(text) ? null : $"use one of {string.Join(", ", spec.Words)}";
        if (!double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) || !double.IsFinite(number)) return "it must be a number";
        if (number >= spec.Minimum && number <= spec.Maximum) return null;
        return spec.Maximum == double.MaxValue
            ? $"it must be at least {spec.Minimum.ToString(CultureInfo.InvariantCulture)}"
            : $"it must lie between {spec.Minimum.ToString(CultureInfo.InvariantCulture)} and {spec.Maximum.ToString(CultureInfo.InvariantCulture)}";
    }
}
