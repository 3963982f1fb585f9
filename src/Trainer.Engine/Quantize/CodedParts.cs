using Trainer.Checkpoints.Nf4;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Weights;
using Trainer.Engine.Weights.Stored;
using Trainer.Models;
using Trainer.Models.Config;
using Trainer.Models.Drawing;
using Trainer.Models.Families;
using Trainer.Models.Parts;

namespace Trainer.Engine.Quantize;

/// <summary>The weights of a folder in other codes than NF4, each as a run would hold it: what is quantized again, and what becomes plain numbers.</summary>
internal sealed class CodedParts : IDisposable
{
    private readonly WeightFiles _files;
    private readonly CodedTensors _plain;
    private readonly StoredQuantization _stored;
    private readonly List<CodedPart> _parts = [];

    private CodedParts(string folder, ModelConfig config)
    {
        (_files, _plain, _stored) = (WeightFiles.AsStored(folder), CodedTensors.Of(folder)!, config.StoredQuantization!);
        var quantized = ModelQuantizer.WeightNames(config, _plain.Shapes.Keys);
        var experts = DecoderBlueprint.Of(config).Modules.Where(module => module.Kind == ModuleKind.Experts).ToList();
        foreach (var (name, (shape, dtype)) in _plain.Shapes)
        {
            if (shape.Length == 3) _parts.AddRange(Experts(config, experts, name, shape, dtype));
            else _parts.Add(quantized.Contains(name)
                ? new(name, shape, dtype, doubled => Quantized(dtype, StoredMatrix.Read(_files, _stored, name, shape[0], shape[1]), doubled))
                : new(name, shape, dtype, null));
        }
    }

    /// <summary>Those of a folder, or null where its weights are plain.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="config">Its model.</param>
    /// <exception cref="ModelException">It is in NF4 already.</exception>
    public static CodedParts? Of(string folder, ModelConfig config)
    {
        if (config.StoredQuantization is not { } stored) return null;
        if (stored.IsNf4) throw new ModelException($"model '{folder}' is quantized already ({stored.Name}); pass the original model");
        return new CodedParts(folder, config);
    }

    /// <summary>The weights.</summary>
    public IReadOnlyList<CodedPart> Parts => _parts;

    /// <summary>Whether a stored tensor is a weight in codes, or a part of one.</summary>
    public bool Owns(string tensor) => _plain.Shapes.ContainsKey(tensor) || _plain.IsPart(tensor);

    /// <summary>Elements of a weight that becomes plain.</summary>
    public void Read(string name, long begin, Span<float> values) => _plain.Read(name, begin, values);

    /// <summary>Gives the mapped pages back.</summary>
    public void DropPages() => _files.DropPages();

    public void Dispose()
    {
        _plain.Dispose();
        _files.Dispose();
    }

    // Gate, up and down of each expert by itself, as loading quantizes them.
    private IEnumerable<CodedPart> Experts(ModelConfig config, List<ModuleBlueprint> modules, string name, long[] shape, SafetensorsDtype dtype)
    {
        var own = config.ModuleTensor(name);
        var module = modules.FirstOrDefault(one => own is not null && own.StartsWith(one.StoredPath + ".", StringComparison.Ordinal))
            ?? throw new ModelException($"tensor '{name}' of '{_files.Folder}' belongs to nothing in the model that config.json describes; config and weights "
                + "are of different models");
        var (block, prefix) = (module.Experts!, name[..^(own!.Length - module.StoredPath.Length)]);
        var isDown = own == $"{module.StoredPath}.{block.Names.AllDown}";
        if (shape[0] != block.Experts)
            throw StoredMatrix.Damaged(_files, name + Mxfp4Layout.Blocks, $"it has {shape[0]} experts, config.json needs {block.Experts}");
        for (var e = 0; e < block.Experts; e++)
        {
            var expert = e;
            foreach (var (tensor, sides, part) in ExpertTensors.Own(module, e).Where(one => one.Part == ExpertPart.Down == isDown))
                yield return new(prefix + tensor[module.StoredPath.Length..], sides, dtype, doubled =>
                {
                    var (rows, columns) = isDown ? (sides[0], sides[1]) : ((long)block.InnerRows, sides[1]);
                    IFrozenWeight whole = Mxfp4Layout.Read(_files, name, block.Experts, rows, columns)[expert];
                    return Quantized(dtype, isDown || !block.IsGated ? whole : PlainExperts.Half(block, whole, part), doubled);
                });
        }
    }

    private static Nf4Bytes Quantized(SafetensorsDtype dtype, IFrozenWeight weight, bool doubled)
    {
        using (weight)
        {
            using var codes = Nf4Weight.Quantize(weight, doubled);
            return codes.ToBytes(StoredValues.TorchName(dtype));
        }
    }
}
