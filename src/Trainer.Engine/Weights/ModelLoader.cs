using TorchSharp;
using Trainer.Engine.Layers;
using Trainer.Engine.Weights.Stored;
using Trainer.Models;
using Trainer.Models.Config;
using Trainer.Models.Drawing;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Weights;

/// <summary>Fills the modules of a blueprint from a model's folder: every parameter filled, every tensor consumed.</summary>
internal sealed class ModelLoader(DecoderBlueprint blueprint, ModelLoadOptions options, WeightFiles files)
{
    // A folder that holds any matrix in nf4 decided itself which matrices stay in full precision.
    private readonly bool _isStoredNf4 = StoredNf4.IsUsedBy(files);

    public (List<DecoderLayer> Layers, LayerModules Ends, EmbeddingModule Embedding, NormModule FinalNorm, LinearModule Head) Build()
    {
        var embedding = new EmbeddingModule(blueprint.Embedding, new DenseWeight(files.Take(blueprint.Embedding.WeightName, blueprint.Embedding.Shape)));
        var layers = blueprint.Config.Layers.Select(Layer).ToList();
        var ends = Modules(blueprint.Config.TextPath, blueprint.Ends);
        var norm = Norm(blueprint.FinalNorm);
        var head = blueprint.Head;
        IFrozenWeight weight;
        if (blueprint.Config.TiedEmbeddings)
        {
            if (files.Has(head.WeightName)) files.TakeCopy(head.WeightName, blueprint.Embedding.WeightName);
            weight = embedding.Weight;
        }
        else weight = Matrix(head);
        var headModule = new LinearModule(head, weight, head.HasBias ? Small(head.BiasName, [head.Rows]) : null);
        files.RefuseLeftOver();
        return (layers, ends, embedding, norm, headModule);
    }

    private DecoderLayer Layer(LayerConfig config, int index)
        => new(index, blueprint.Config, Modules($"{blueprint.Config.TextPath}.layers.{index}", blueprint.Layer(index)));

    private LayerModules Modules(string path, IReadOnlyList<ModuleBlueprint> drawing)
    {
        IEnumerable<ModuleBlueprint> Of(ModuleKind kind) => drawing.Where(module => module.Kind == kind);
        return new LayerModules(path,
            [.. Of(ModuleKind.Linear).Select(Linear)],
            [.. Of(ModuleKind.Norm).Select(Norm)],
            [.. Of(ModuleKind.Parameter).Select(module => new ParameterModule(module.Path, Small(module.WeightName, module.Shape)))],
            Of(ModuleKind.Experts).Select(module => new ExpertLoader(module, options, files, Held).Load()).FirstOrDefault())
        {
            Tables = Of(ModuleKind.Embedding).ToDictionary(module => module.Path,
                module => (IFrozenWeight)new DenseWeight(files.Take(module.WeightName, module.Shape)), StringComparer.Ordinal),
        };
    }

    private LinearModule Linear(ModuleBlueprint module)
    {
        var weight = Held(module);
        if (!module.HasBias) RefuseBias(module);
        return new LinearModule(module, weight, module.HasBias ? Small(module.BiasName, [module.Rows]) : null);
    }

    // A matrix of the layers as the run holds it.
    private IFrozenWeight Held(ModuleBlueprint module)
    {
        var stored = Matrix(module);
        if (stored is Nf4Weight || options.Quantize == QuantizeKind.None || _isStoredNf4) return stored;
        IFrozenWeight weight = options.Quantize == QuantizeKind.Nf4 ? Nf4Weight.Quantize(stored, options.DoubleQuantize) : Int8Weight.Quantize(stored);
        stored.Dispose();
        if (files.Has(module.WeightName)) files.DropPages(module.WeightName);
        return weight;
    }

    // Tools that quantize write a bias of zeros beside matrices that have none; any other value would change the model.
    private void RefuseBias(ModuleBlueprint module)
    {
        if (blueprint.Config.StoredQuantization is null or { IsNf4: true } || !files.Has(module.BiasName)) return;
        if (files.TakeBytes(module.BiasName, files.Entry(module.BiasName).Dtype, -1).ContainsAnyExcept((byte)0))
            throw new ModelException($"tensor '{module.BiasName}' of '{files.Folder}' belongs to nothing in the model that config.json describes, and is not "
                + "0; config and weights are of different models");
    }

    private IFrozenWeight Matrix(ModuleBlueprint module)
    {
        if (blueprint.Config.StoredQuantization is { IsNf4: false } stored && StoredMatrix.Has(files, stored, module.WeightName))
            return StoredMatrix.Read(files, stored, module.WeightName, module.Rows, module.Columns);
        if (!StoredNf4.Has(files, module.WeightName)) return new DenseWeight(files.Take(module.WeightName, module.Shape));
        if (options.Quantize == QuantizeKind.Int8)
            throw new ModelException($"'{files.Folder}' is already quantized as nf4, which --quantize int8 cannot change; leave the option out or take the "
                + "original model");
        return StoredNf4.Read(files, module.WeightName, module.Rows, module.Columns);
    }

    private NormModule Norm(ModuleBlueprint module) =>
        new(module, module.IsStoredByRow ? Rows(module) : Small(module.WeightName, module.Shape), module.HasBias ? Small(module.BiasName, module.Shape) : null);

    private Tensor Rows(ModuleBlueprint module)
    {
        using var scope = NewDisposeScope();
        return stack([.. module.Tensors.Select(row => Small(row.Name, row.Shape).MoveToOuterDisposeScope())]).DetachFromDisposeScope();
    }

    // Vectors are copied as float32 to the device: they are small and used in every token's arithmetic.
    private Tensor Small(string name, ReadOnlySpan<long> shape)
    {
        using var scope = NewDisposeScope();
        var mapped = files.Take(name, shape);
        return mapped.to(ScalarType.Float32, new Device(options.Device), copy: true).DetachFromDisposeScope();
    }
}
