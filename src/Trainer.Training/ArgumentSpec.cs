namespace Trainer.Training;

/// <summary>One named argument of an optimizer or a schedule, beside the options that all of them share.</summary>
/// <param name="Name">As transformers names it.</param>
/// <param name="Default">Taken where it is not given; null where leaving it out has a meaning of its own.</param>
internal sealed record ArgumentSpec(string Name, string? Default)
{
    /// <summary>The words it may be; empty where it is a number.</summary>
    public IReadOnlyList<string> Words { get; init; } = [];

    /// <summary>Least number.</summary>
    public double Minimum { get; init; }

    /// <summary>Largest number.</summary>
    public double Maximum { get; init; } = double.MaxValue;

    /// <summary>A yes or no.</summary>
    public static ArgumentSpec Flag(string name, bool isOn) => new(name, isOn ? "true" : "false") { Words = ["true", "false"] };
}
