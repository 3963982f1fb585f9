using Trainer.Checkpoints.Safetensors;
using Trainer.Models;
using Trainer.Models.Families;

namespace Trainer.Engine.Tests.Models;

[Trait("ring", "model")]
public class FamilyTests
{
    public static TheoryData<string> Cases
        => new(Directory.GetFiles(Golden.Root, "io.safetensors", SearchOption.AllDirectories).Select(path => Path.GetFileName(Path.GetDirectoryName(path)!))
            .Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Cases))]
    public void Logits_equal_the_reference(string name)
    {
        using var model = CausalModel.Load(Golden.Folder(name), new ModelLoadOptions { Engine = EngineKind.Reference });
        using var io = SafetensorsFile.Open(Golden.Folder(name, "io.safetensors"));
        using var logits = model.Logits(Golden.Batch(io, trimmed: false));
        Assert.InRange(Golden.LargestDifference(logits.data<float>().ToArray(), Golden.Floats(io, "logits")), 0, GoldenFamilies.LogitGate(name));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Losses_equal_the_reference_without_its_padding(string name)
    {
        using var model = CausalModel.Load(Golden.Folder(name), new ModelLoadOptions { Engine = EngineKind.Reference });
        using var io = SafetensorsFile.Open(Golden.Folder(name, "io.safetensors"));
        var batch = Golden.Batch(io, trimmed: true);
        var losses = model.TokenLosses(batch);
        var expected = Golden.Expected(Golden.Folder(name));
        Assert.Equal(expected.GetProperty("loss_tokens").GetInt32(), batch.TrainedTokens);
        Assert.InRange(Math.Abs(losses.Sum(loss => (double)loss) / batch.TrainedTokens - expected.GetProperty("loss").GetDouble()), 0,
            GoldenFamilies.LossGate(name));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_transformers_5_config_describes_the_same_model(string name)
    {
        // Families of transformers 5 alone have one spelling.
        if (!File.Exists(Golden.Folder(name, "config.v5.json"))) return;
        var folder = Directory.CreateTempSubdirectory("config-v5-").FullName;
        File.Copy(Golden.Folder(name, "config.v5.json"), Path.Combine(folder, "config.json"));
        if (File.Exists(Golden.Folder(name, "generation_config.json")))
            File.Copy(Golden.Folder(name, "generation_config.json"), Path.Combine(folder, "generation_config.json"));
        // The second file was written after loading as float32, so it names another stored type.
        Assert.Equivalent(ConfigLoader.Load(Golden.Folder(name)) with { StoredType = null }, ConfigLoader.Load(folder) with { StoredType = null },
            strict: true);
        Directory.Delete(folder, recursive: true);
    }
}
