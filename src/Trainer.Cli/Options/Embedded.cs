namespace Trainer.Cli.Options;

/// <summary>What comes with the program: the tiny model and its demo data.</summary>
internal static class Embedded
{
    public static string TinyModel => Path.Combine(AppContext.BaseDirectory, "configs", "tiny-model");

    public static string DemoData => Path.Combine(AppContext.BaseDirectory, "configs", "demo");
}
