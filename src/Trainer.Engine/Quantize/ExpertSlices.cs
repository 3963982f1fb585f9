using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Weights;
using Trainer.Models.Config;
using Trainer.Models.Drawing;
using Trainer.Models.Parts;

namespace Trainer.Engine.Quantize;

/// <summary>The tensors of all experts, cut into those that a folder with a tensor for each expert has: gate, up and down as [out, in].</summary>
internal sealed class ExpertSlices
{
    private readonly ModelConfig _config;
    private readonly Dictionary<string, (ModuleBlueprint Module, long[] Shape, bool IsDown)> _tensors = new(StringComparer.Ordinal);

    /// <summary>Those of a model.</summary>
    public ExpertSlices(ModelConfig config)
    {
        _config = config;
        foreach (var module in DecoderBlueprint.Of(config).Modules.Where(module => module.Kind == ModuleKind.Experts))
        {
            var down = $"{module.StoredPath}.{module.Experts!.Names.AllDown}";
            foreach (var (name, shape) in ExpertTensors.Fused(module).Where(tensor => tensor.Shape.Length == 3))
                _tensors.Add(name, (module, shape, name == down));
        }
    }

    /// <summary>The parts of a stored tensor, expert by expert, gate before up; empty for a tensor that is none of all experts.</summary>
    /// <param name="entry">The tensor.</param>
    /// <param name="folder">Its folder, for the sentence.</param>
    /// <exception cref="Models.ModelException">Its shape is not that of the model.</exception>
    public IReadOnlyList<ExpertSlice> Of(SafetensorsEntry entry, string folder)
    {
        if (_config.ModuleTensor(entry.Name) is not { } name || !_tensors.TryGetValue(name, out var tensor)) return [];
        if (!entry.Shape.SequenceEqual(tensor.Shape)) throw WeightFiles.OtherShape(entry.Name, entry, tensor.Shape, folder);
        var (module, block) = (tensor.Module, tensor.Module.Experts!);
        // The folder's own prefix before the name in the module tree.
        var prefix = entry.Name[..^(name.Length - module.StoredPath.Length)];
        var bytes = entry.ByteCount / block.Experts;
        return [.. Enumerable.Range(0, block.Experts).SelectMany(expert => ExpertTensors.Own(module, expert)
            .Where(own => own.Part == ExpertPart.Down == tensor.IsDown)
            .Select(own => new ExpertSlice(new SafetensorsEntry(prefix + own.Name[module.StoredPath.Length..], entry.Dtype, own.Shape,
                entry.Begin + expert * bytes, entry.Begin + (expert + 1) * bytes), [1, .. tensor.Shape[1..]], block, own.Part)))];
    }
}
