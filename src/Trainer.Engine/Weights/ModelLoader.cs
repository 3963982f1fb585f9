using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Engine;

/// <summary>Fills the modules of a blueprint from a model's folder: every parameter filled, every tensor consumed.</summary>
internal sealed class ModelLoader(DecoderBlueprint blueprint, ModelLoadOptions options, WeightFiles files)
{
    // A folder that holds any matrix in 4 bits decided itself which matrices stay in full precision.
    private readonly bool _isStoredQuantized = StoredNf4.IsUsedBy(files);

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
        if (weight is DenseWeight dense && options.Quantize != QuantizeKind.None && !_isStoredQuantized)
        {
            weight = options.Quantize == QuantizeKind.Nf4 ? Nf4Weight.Quantize(dense, options.DoubleQuantize) : Int8Weight.Quantize(dense);
            dense.Dispose();
            files.DropPages(module.WeightName);
        }
        return new LinearModule(module, weight, module.HasBias ? Small(module.BiasName, module.Rows) : null);
    }

    private IFrozenWeight Matrix(ModuleBlueprint module)
    {
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
