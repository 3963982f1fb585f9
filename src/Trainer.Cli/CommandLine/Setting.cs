namespace Trainer.Cli.CommandLine;

/// <summary>One option of a command and key of a recipe: the only place its name, range, default and help are written.</summary>
internal sealed record Setting(string Name, SettingKind Kind, string Group, string Help)
{
    /// <summary>Other spellings, without dashes, kebab-case.</summary>
    public string[] Aliases { get; init; } = [];

    /// <summary>A one-letter form, such as <c>-o</c>, or null.</summary>
    public string? Short { get; init; }

    /// <summary>What stands for the value in help.</summary>
    public string Value { get; init; } = "";

    /// <summary>The default as a user would type it, or null where there is none.</summary>
    public string? Default { get; init; }

    /// <summary>A default told in words, where it is not one value.</summary>
    public string? DefaultNote { get; init; }

    /// <summary>Permitted words of a choice.</summary>
    public string[] Choices { get; init; } = [];

    /// <summary>Other words for a choice, kebab-case, and the choice they mean.</summary>
    public IReadOnlyDictionary<string, string> Synonyms { get; init; } = new Dictionary<string, string>();

    /// <summary>Least value of a number.</summary>
    public double Minimum { get; init; } = double.NegativeInfinity;

    /// <summary>Largest value of a number.</summary>
    public double Maximum { get; init; } = double.PositiveInfinity;

    /// <summary>Whether the least value itself is out of range.</summary>
    public bool AboveMinimum { get; init; }

    /// <summary>Whether the largest value itself is out of range.</summary>
    public bool BelowMaximum { get; init; }

    /// <summary>What the option means without a value, or null where a value is needed.</summary>
    public string? Bare { get; init; }

    /// <summary>A flag that is shown in its negated form because it is on by default.</summary>
    public bool ShownAsNo { get; init; }

    /// <summary>Whether a recipe may hold it.</summary>
    public bool InRecipe { get; init; }

    /// <summary>Key in a recipe and in JSON: snake_case.</summary>
    public string Key => Name.Replace('-', '_');

    /// <summary>As the user types it.</summary>
    public string Option => "--" + Name;

    public bool TakesMany => Kind is SettingKind.List or SettingKind.Sources or SettingKind.Pairs;

    public IEnumerable<string> AllNames => Aliases.Prepend(Name);
}
