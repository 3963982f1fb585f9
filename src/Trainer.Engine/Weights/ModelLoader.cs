using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Engine;

/// <summary>Fills the modules of a blueprint from a model's folder: every parameter filled, every tensor consumed.</summary>
internal sealed class ModelLoader(DecoderBlueprint blueprint, ModelLoadOptions options, WeightFiles files)
{
    // A folder that holds any matrix in nf4 decided itself which matrices stay in full precision.
    private readonly bool _isStoredNf4 = StoredNf4.IsUsedBy(files);

    public (List<DecoderLayer> Layers, EmbeddingModule Embedding, NormModule FinalNorm, LinearModule Head) Build()
    {
        var embedding = new EmbeddingModule(blueprint.Embedding, new DenseWeight(files.Take(blueprint.Embedding.WeightName, blueprint.Embedding.Shape)));
        var layers = blueprint.Config.Layers.Select(Layer).ToList();
        var norm = Norm(blueprint.FinalNorm);
        var head = blueprint.Head;
        IFrozenWeight weight;
        if (blueprint.Config.TiedEmbeddings)
        {
            if (files.Has(head.WeightName)) files.TakeCopy(head.WeightName, blueprint.Embedding.WeightName);
            weight = embedding.Weight;
        }
        else
        {
            weight = Matrix(head);
        }
        files.RefuseLeftOver();
        return (layers, embedding, norm, new LinearModule(head, weight, null));
    }

    private DecoderLayer Layer(LayerConfig config, int index)
    {
        var modules = blueprint.Layer(index);
        return new DecoderLayer(
            index, config, [.. modules.Where(module => module.Kind == ModuleKind.Linear).Select(Linear)], [.. modules.Where(module => module.Kind == ModuleKind.Norm).Select(Norm)]);
    }

    private LinearModule Linear(ModuleBlueprint module)
    {
        var weight = Matrix(module);
        if (weight is not Nf4Weight && options.Quantize != QuantizeKind.None && !_isStoredNf4)
        {
            var stored = weight;
            weight = options.Quantize == QuantizeKind.Nf4 ? Nf4Weight.Quantize(stored, options.DoubleQuantize) : Int8Weight.Quantize(stored);
            stored.Dispose();
            if (files.Has(module.WeightName)) files.DropPages(module.WeightName);
        }
        if (!module.HasBias) RefuseBias(module);
        return new LinearModule(module, weight, module.HasBias ? Small(module.BiasName, module.Rows) : null);
    }

    // Tools that quantize write a bias of zeros beside matrices that have none; any other value would change the model.
    private void RefuseBias(ModuleBlueprint module)
    {
        if (blueprint.Config.StoredQuantization is null or { IsNf4: true } || !files.Has(module.BiasName)) return;
        if (files.TakeBytes(module.BiasName, files.Entry(module.BiasName).Dtype, -1).ContainsAnyExcept((byte)0))
            throw new ModelException($"tensor '{module.BiasName}' of '{files.Folder}' belongs to nothing in the model that config.json describes, and is not 0; config and weights are of different models");
    }

    private IFrozenWeight Matrix(ModuleBlueprint module)
    {
        if (blueprint.Config.StoredQuantization is { IsNf4: false } stored && StoredMatrix.Has(files, stored, module.WeightName))
            return StoredMatrix.Read(files, stored, module.WeightName, module.Rows, module.Columns);
        if (!StoredNf4.Has(files, module.WeightName)) return new DenseWeight(files.Take(module.WeightName, module.Shape));
        if (options.Quantize == QuantizeKind.Int8)
            throw new ModelException($"'{files.Folder}' is already quantized as nf4, which --quantize int8 cannot change; leave the option out or take the original model");
        return StoredNf4.Read(files, module.WeightName, module.Rows, module.Columns);
    }

    private NormModule Norm(ModuleBlueprint module) => new(module, Small(module.WeightName, module.Rows));

    // Vectors are copied as float32 to the device: they are small and used in every token's arithmetic.
    private Tensor Small(string name, long width)
    {
        using var scope = NewDisposeScope();
        var mapped = files.Take(name, width);
        return mapped.to(ScalarType.Float32, new Device(options.Device), copy: true).DetachFromDisposeScope();
    }
}
