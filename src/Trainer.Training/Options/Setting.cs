using System.Linq.Expressions;

namespace Trainer.Training.Options;

/// <summary>
/// One option of a command and key of a recipe: the only place where its name, range and help are written. An option of training is bound to
/// its property, whose initial value is the default; command line, recipe, schema, help, checks and drift all walk these rows.
/// </summary>
/// <param name="Name">Name, kebab-case, without dashes.</param>
/// <param name="Kind">What its value looks like.</param>
/// <param name="Group">Heading in help.</param>
/// <param name="Help">One sentence.</param>
public sealed record Setting(string Name, SettingKind Kind, string Group, string Help)
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

    /// <summary>Other words for a value, kebab-case, and the value they mean.</summary>
    public IReadOnlyDictionary<string, string> Synonyms { get; init; } = new Dictionary<string, string>();

    /// <summary>Words that mean what leaving the option out means.</summary>
    public string[] Unset { get; init; } = [];

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

    /// <summary>The property of <see cref="TrainingOptions"/> that it sets, or null where it sets none.</summary>
    public OptionProperty? Property { get; init; }

    /// <summary>What a resumed run says of another value.</summary>
    public DriftRule Drift { get; init; }

    /// <summary>Whether it gives a fresh adapter its shape; a continued adapter has its own.</summary>
    public bool ShapesAdapter { get; init; }

    /// <summary>How the property's value is read, where the kind alone does not say; faults go to the values.</summary>
    public Func<SettingValues, Setting, object?>? Reads { get; init; }

    /// <summary>What a recipe holds, where it is not the property's value; null leaves the key out.</summary>
    public Func<TrainingOptions, object?>? Writes { get; init; }

    /// <summary>Key in a recipe and in JSON: snake_case.</summary>
    public string Key => Name.Replace('-', '_');

    /// <summary>As the user types it.</summary>
    public string Option => "--" + Name;

    /// <summary>Whether it may be given more than one word.</summary>
    public bool TakesMany => Kind is SettingKind.List or SettingKind.Sources or SettingKind.Pairs;

    /// <summary>Whether its value names a place on disk; a leading <c>~/</c> is then the home folder, as a shell has it.</summary>
    public bool IsPath => Kind is SettingKind.File or SettingKind.Folder or SettingKind.Sources
        || Value is "DIR" or "FILE" or "MODEL" or "auto|DIR" or "RECIPE.yaml";

    /// <summary>The name, then its aliases.</summary>
    public IEnumerable<string> AllNames => Aliases.Prepend(Name);

    /// <summary>Whether a number is in the range.</summary>
    public bool Holds(double number) =>
        (AboveMinimum ? number > Minimum : number >= Minimum) && (BelowMaximum ? number < Maximum : number <= Maximum);

    /// <summary>The range as the end of a message, such as <c>; use a value at least 1</c>; empty where there is none.</summary>
    public string Range
    {
        get
        {
            var least = double.IsNegativeInfinity(Minimum) ? null : (AboveMinimum ? "above " : "at least ") + Quantities.Plain(Minimum);
            var most = double.IsPositiveInfinity(Maximum) ? null : (BelowMaximum ? "below " : "at most ") + Quantities.Plain(Maximum);
            var both = string.Join(" and ", new[] { least, most }.Where(part => part is not null));
            return both.Length == 0 ? "" : $"; use a value {both}";
        }
    }

    /// <summary>The row of an option of training; kind, words of a choice and default follow from the property.</summary>
    /// <typeparam name="T">The property's type.</typeparam>
    /// <param name="property">Path from the options, such as <c>o => o.Lora.Rank</c>.</param>
    /// <param name="name">Name, kebab-case.</param>
    /// <param name="group">Heading in help.</param>
    /// <param name="help">One sentence.</param>
    public static Setting Of<T>(Expression<Func<TrainingOptions, T>> property, string name, string group, string help)
    {
        var bound = OptionProperty.Of(property);
        return new Setting(name, OptionWords.KindOf(bound.Type), group, help)
        {
            Property = bound,
            InRecipe = true,
            Choices = bound.Type.IsEnum ? OptionWords.Of(bound.Type) : [],
            Default = OptionWords.Default(bound.Initial),
        };
    }
}
