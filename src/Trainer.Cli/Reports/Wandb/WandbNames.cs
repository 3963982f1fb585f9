namespace Trainer.Cli.Reports.Wandb;

/// <summary>Whose run it is at W&amp;B, by the environment that its own client reads. A key is not among it: nothing is sent from here.</summary>
internal sealed record WandbNames(string? Entity, string Project, string? Name, string? Group, IReadOnlyList<string> Tags)
{
    public static WandbNames OfEnvironment() => new(Read("WANDB_ENTITY"), Read("WANDB_PROJECT") ?? "trainer", Read("WANDB_NAME"), Read("WANDB_RUN_GROUP"),
        Read("WANDB_TAGS")?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? []);

    private static string? Read(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
