namespace Trainer.Engine.Tests.Models;

/// <summary>Finds reference data: what the repository carries, else the larger set that may lie beside it, else the test is skipped with the reason.</summary>
internal static class ReferenceData
{
    private static string Repository { get; } = Path.GetFullPath(Path.Combine(Golden.Root, "..", "..", ".."));

    /// <summary>A file or folder of the golden runs: models/NAME, lora/CASE/..., qlora/CASE/...</summary>
    internal static string Transformers(params string[] parts)
    {
        var mine = Path.Combine([Golden.Root, .. parts[0] == "models" ? parts[1..] : parts]);
        return Path.Exists(mine) ? mine : Beside(["golden", "transformers", .. parts]);
    }

    /// <summary>A file or folder of the GGUF runs.</summary>
    internal static string Gguf(params string[] parts)
    {
        var mine = Path.Combine([Repository, "tests", "fixtures", "gguf", .. parts]);
        return Path.Exists(mine) ? mine : Beside(["golden", "gguf", .. parts]);
    }

    /// <summary>A file or folder of the larger set.</summary>
    internal static string Beside(params string[] parts)
    {
        var path = Path.GetFullPath(Path.Combine([Repository, "..", "shared", .. parts]));
        Skip.IfNot(Path.Exists(path), "the larger reference data beside the repository is absent");
        return path;
    }

    /// <summary>The embedded model.</summary>
    internal static string Embedded { get; } = Path.Combine(Repository, "configs", "tiny-model");
}
