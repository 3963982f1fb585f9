namespace Trainer.Smoke.Tests;

/// <summary>How the program is started.</summary>
internal sealed record ProgramRun(params string[] Words)
{
    public string? Directory { get; init; }
    /// <summary>Another copy of the program, or null for the built one.</summary>
    public string? Program { get; init; }
    public string? Input { get; init; }
    /// <summary>A command of the shell that comes first, such as <c>ulimit -n 64</c>, or null for no shell.</summary>
    public string? Limit { get; init; }
    public int LimitSeconds { get; init; } = 120;
    public IReadOnlyDictionary<string, string>? Environment { get; init; }
}
