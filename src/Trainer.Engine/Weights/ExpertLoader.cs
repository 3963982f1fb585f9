using Trainer.Models.Drawing;
using static TorchSharp.torch;

namespace Trainer.Engine;

/// <summary>Fills a block's experts, in whichever layout the folder has them; each expert's matrices are held and quantized by themselves.</summary>
internal sealed class ExpertLoader(ModuleBlueprint module, ModelLoadOptions options, WeightFiles files, Func<ModuleBlueprint, IFrozenWeight> held)
{
    private readonly ExpertFeedForward _block = module.Experts!;

    public ExpertsModule Load()
    {
        var count = _block.Experts;
        var beyond = ExpertTensors.Own(module, count);
        if (beyond.FirstOrDefault(tensor => files.Has(tensor.Name)) is { Name: not null } extra)
            throw new ModelException($"tensor '{extra.Name}' of '{files.Folder}' is of an expert that config.json, which has {count}, does not know; config and weights are of different models");
        var isOwn = !ExpertTensors.Fused(module).Any(tensor => files.Has(tensor.Name));
        return new ExpertsModule(module, isOwn ? [.. Enumerable.Range(0, count).Select(Own)] : Fused());
    }

    private Expert Own(int index)
    {
        var matrices = ExpertTensors.Own(module, index)
            .Select(tensor => held(new ModuleBlueprint(tensor.Name[..^".weight".Length], ModuleKind.Linear, ModuleRole.Part, module.Layer, tensor.Shape[0], tensor.Shape[1]))).ToList();
        return new Expert(new StackedWeight(matrices[0], matrices[1]), null, matrices[2], null);
    }

    private List<Expert> Fused()
    {
        var tensors = ExpertTensors.Fused(module).ToDictionary(tensor => tensor.Name, tensor => files.Take(tensor.Name, tensor.Shape), StringComparer.Ordinal);
        string gateUp = $"{module.StoredPath}.{_block.Names.AllGateUp}", down = $"{module.StoredPath}.{_block.Names.AllDown}";
        var experts = new List<Expert>();
        for (var e = 0; e < _block.Experts; e++)
            experts.Add(new Expert(Slice(tensors[gateUp], e), Bias(tensors.GetValueOrDefault($"{gateUp}_bias"), e), Slice(tensors[down], e), Bias(tensors.GetValueOrDefault($"{down}_bias"), e)));
        foreach (var tensor in tensors.Values) tensor.Dispose();
        if (options.Quantize != QuantizeKind.None)
        {
            files.DropPages(gateUp);
            files.DropPages(down);
        }
        return experts;
    }

    private IFrozenWeight Slice(Tensor all, int expert)
    {
        var dense = new DenseWeight(all.select(0, expert).DetachFromDisposeScope());
        return Quantized(_block.IsTransposed ? new TransposedWeight(dense) : dense);
    }

    private IFrozenWeight Quantized(IFrozenWeight dense)
    {
        if (options.Quantize == QuantizeKind.None) return dense;
        IFrozenWeight held = options.Quantize == QuantizeKind.Nf4 ? Nf4Weight.Quantize(dense, options.DoubleQuantize) : Int8Weight.Quantize(dense);
        dense.Dispose();
        return held;
    }

    private Tensor? Bias(Tensor? all, int expert)
    {
        if (all is null) return null;
        using var scope = NewDisposeScope();
        return all.select(0, expert).to(ScalarType.Float32, new Device(options.Device), copy: true).DetachFromDisposeScope();
    }
}
