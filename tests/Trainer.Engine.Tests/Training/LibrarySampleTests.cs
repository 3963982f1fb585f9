using Trainer.Engine.Tests.Data.Chat;

namespace Trainer.Engine.Tests.Training;

public sealed class LibrarySampleTests
{
    [Fact]
    [Trait("ring", "unit")]
    public void The_readme_s_sample_is_the_one_that_is_compiled()
    {
        var source = File.ReadAllText(Path.Combine(MaskFixtures.Repository, "tests", "Trainer.Engine.Tests", "Training", "LibrarySample.cs"))
            .ReplaceLineEndings("\n");
        var sample = source[(source.IndexOf("// <sample>\n", StringComparison.Ordinal) + "// <sample>\n".Length)..source.IndexOf("    // </sample>",
            StringComparison.Ordinal)];
        Assert.Contains(sample, File.ReadAllText(Path.Combine(MaskFixtures.Repository, "src", "Trainer.Training", "README.md")).ReplaceLineEndings("\n"),
            StringComparison.Ordinal);
    }

    [Fact]
    [Trait("ring", "slow")]
    public void The_readme_s_sample_trains()
    {
        var folder = Directory.CreateTempSubdirectory("sample-");
        try
        {
            var output = Path.Combine(folder.FullName, "run");
            var configs = Path.Combine(MaskFixtures.Repository, "configs");
            var result = LibrarySample.Train(Path.Combine(configs, "tiny-model"), Path.Combine(configs, "demo", "train.jsonl"), output, CancellationToken.None);
            Assert.Equal(20, result.Steps);
            Assert.True(File.Exists(Path.Combine(output, "adapter_model.safetensors")));
        }
        finally
        {
            folder.Delete(true);
        }
    }
}
