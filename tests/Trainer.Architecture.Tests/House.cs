namespace Trainer.Architecture.Tests;

/// <summary>The house as a table: floor, the projects of ours each may reference, and the packages it may name.</summary>
internal static class House
{
    private static readonly string[] Torch = ["TorchSharp-cpu", "TorchSharp-cuda-linux", "libtorch-cpu-win-arm64"];

    /// <summary>Every project below src, by name.</summary>
    public static IReadOnlyDictionary<string, Room> Rooms { get; } = new Dictionary<string, Room>(StringComparer.Ordinal)
    {
        ["Trainer.Numerics"] = new(0, [], []),
        ["Trainer.Tokenizers"] = new(0, [], ["Microsoft.ML.Tokenizers"]),
        ["Trainer.Templates"] = new(0, [], []),
        ["Trainer.Checkpoints"] = new(0, [], []),
        ["Trainer.Hub"] = new(0, [], []),
        ["Trainer.Distributed"] = new(0, [], []),
        ["Trainer.Models"] = new(1, ["Trainer.Checkpoints"], ["F23.StringSimilarity"]),
        ["Trainer.Data"] = new(1, ["Trainer.Numerics", "Trainer.Tokenizers", "Trainer.Templates"],
            ["F23.StringSimilarity", "Microsoft.ML.Tokenizers", "Parquet.Net", "Sylvan.Data.Csv", "YamlDotNet", "ZstdSharp.Port"]),
        ["Trainer.Engine"] = new(2, ["Trainer.Models", "Trainer.Numerics", "Trainer.Checkpoints", "Trainer.Tokenizers"], [.. Torch, "Microsoft.ML.Tokenizers"]),
        ["Trainer.Adapters"] = new(3, ["Trainer.Engine", "Trainer.Models", "Trainer.Numerics", "Trainer.Checkpoints"], Torch),
        ["Trainer.Training"] = new(4, ["Trainer.Adapters", "Trainer.Engine", "Trainer.Models", "Trainer.Data", "Trainer.Checkpoints", "Trainer.Distributed",
            "Trainer.Numerics", "Trainer.Tokenizers", "Trainer.Templates"], [.. Torch, "F23.StringSimilarity", "Microsoft.ML.Tokenizers"]),
        ["Trainer.Cli"] = new(5,
            ["Trainer.Numerics", "Trainer.Tokenizers", "Trainer.Templates", "Trainer.Checkpoints", "Trainer.Hub", "Trainer.Distributed", "Trainer.Models",
            "Trainer.Engine", "Trainer.Data", "Trainer.Adapters", "Trainer.Training"],
            [.. Torch, "Microsoft.ML.Tokenizers", "System.CommandLine", "Spectre.Console", "Serilog", "Serilog.Sinks.File", "YamlDotNet", "ScottPlot"]),
    };

    /// <summary>One project's place.</summary>
    /// <param name="Floor">0 to 5; references go down only.</param>
    /// <param name="Projects">Our projects it may reference.</param>
    /// <param name="Packages">Packages it may name.</param>
    public sealed record Room(int Floor, string[] Projects, string[] Packages);
}
