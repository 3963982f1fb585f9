using Trainer.Checkpoints;
using Trainer.Checkpoints.Safetensors;
using Trainer.Models.Drawing;
using Trainer.Models.Families;
using Trainer.Models.Parts;

namespace Trainer.Engine.Tests.Models;

/// <summary>What a decoder is must be known before its weights are read.</summary>
public sealed class BlueprintTests
{
    public static TheoryData<string> Families
        => [.. Directory.EnumerateDirectories(Golden.Root).Where(folder => File.Exists(Path.Combine(folder, "model.safetensors")))
            .Select(folder => Path.GetFileName(folder))];

    [Theory]
    [MemberData(nameof(Families))]
    public void The_drawing_of_a_config_names_every_tensor_of_the_folder_with_its_shape(string family)
    {
        var blueprint = DecoderBlueprint.Of(ConfigLoader.Load(Golden.Folder(family)));
        using var stored = ShardedModel.Open(Golden.Folder(family));
        // A folder holds experts together or each by itself, and other towers' tensors beside the model's.
        bool IsApart(ModuleBlueprint module) => module.Experts is not null && !stored.Tensors.ContainsKey(ExpertTensors.Fused(module).First().Name)
            && blueprint.Config.WrapperType is null;
        var drawn = blueprint.Stored.SelectMany(module => IsApart(module) ? ExpertTensors.OfEach(module) : module.Tensors)
            .Select(tensor => $"{tensor.Name} [{string.Join(", ", tensor.Shape)}]");
        var there = stored.Tensors.Values.Select(entry => (Name: blueprint.Config.ModuleTensor(entry.Name), entry.Shape))
            .Where(tensor => tensor.Name is not null)
            .Where(tensor => !(blueprint.Config.TiedEmbeddings && tensor.Name == blueprint.Head.WeightName))
            .Select(tensor => $"{tensor.Name} [{string.Join(", ", tensor.Shape)}]");
        Assert.Equal(there.Order(StringComparer.Ordinal), drawn.Order(StringComparer.Ordinal));
        Assert.Equal(blueprint.ParameterCount, blueprint.Stored.SelectMany(module => module.Tensors)
            .Sum(tensor => tensor.Shape.Aggregate(1L, (product, side) => product * side)));
        Assert.All(blueprint.Stored.SelectMany(module => module.Tensors.Select(tensor => (module, tensor))),
            one => Assert.Same(one.module, blueprint.OwnerOf(one.tensor.Name)));
    }
}
