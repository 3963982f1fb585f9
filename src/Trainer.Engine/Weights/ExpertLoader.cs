using Trainer.Engine.Weights.Stored;
using Trainer.Models;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Weights;

/// <summary>Fills a block's experts, in whichever layout the folder has them; each expert's matrices are held and quantized by themselves.</summary>
internal sealed class ExpertLoader(ModuleBlueprint module, ModelLoadOptions options, WeightFiles files, Func<ModuleBlueprint, IFrozenWeight> held)
{
    private readonly ExpertFeedForward _block = module.Experts!;

    public ExpertsModule Load()
    {
        var count = _block.Experts;
        var beyond = ExpertTensors.Own(module, count);
        if (beyond.FirstOrDefault(tensor => files.Has(tensor.Name)) is { Name: not null } extra)
            throw new ModelException($"tensor '{extra.Name}' of '{files.Folder}' is of an expert that config.json, which has {count}, does not know; config "
                + "and weights are of different models");
        // Biases lie together in either layout.
        var first = $"{module.StoredPath}.0.";
        return new ExpertsModule(module, files.Names.Any(name => name.StartsWith(first, StringComparison.Ordinal)) ? AllOwn() : Fused());
    }

    private List<Expert> AllOwn()
    {
        var shapes = ExpertTensors.Fused(module).ToDictionary(tensor => tensor.Name, tensor => tensor.Shape, StringComparer.Ordinal);
        var (gateUp, down) = (Biases($"{module.StoredPath}.{_block.Names.AllGateUp}", shapes), Biases($"{module.StoredPath}.{_block.Names.AllDown}", shapes));
        return [.. Enumerable.Range(0, _block.Experts).Select(e => Own(e) with { GateUpBias = gateUp?[e], DownBias = down?[e] })];
    }

    private Expert Own(int index)
    {
        var matrices = ExpertTensors.Own(module, index).ToDictionary(tensor => tensor.Part, tensor => held(new ModuleBlueprint(
            tensor.Name[..^".weight".Length], ModuleKind.Linear, ModuleRole.Part, module.Layer, tensor.Shape[0], tensor.Shape[1])));
        var up = matrices[ExpertPart.Up];
        return new Expert(_block.IsGated ? PlainExperts.Joined(_block, matrices[ExpertPart.Gate], up) : up, null, matrices[ExpertPart.Down], null);
    }

    private List<Expert> Fused()
    {
        var (gateUp, down) = ($"{module.StoredPath}.{_block.Names.AllGateUp}", $"{module.StoredPath}.{_block.Names.AllDown}");
        long wide = _block.Width, hidden = module.ExpertColumns;
        var shapes = ExpertTensors.Fused(module).ToDictionary(tensor => tensor.Name, tensor => tensor.Shape, StringComparer.Ordinal);
        var (gateUps, downs) = (Matrices(gateUp, shapes[gateUp], _block.InnerRows, hidden, _block.IsGated), Matrices(down, shapes[down], hidden, wide, false));
        var (gateUpBiases, downBiases) = (Biases(gateUp, shapes), Biases(down, shapes));
        return [.. Enumerable.Range(0, _block.Experts).Select(e => new Expert(gateUps[e], gateUpBiases?[e], downs[e], downBiases?[e]))];
    }

    // The matrix of each expert from one tensor of all: in codes [out, in], or plain, which a family may have transposed.
    private List<IFrozenWeight> Matrices(string name, long[] shape, long rows, long columns, bool isGateUp)
    {
        if (Mxfp4Layout.Has(files, name))
            return [.. Mxfp4Layout.Read(files, name, _block.Experts, rows, columns).Select(codes => Held(codes, isGateUp))];
        using var all = files.Take(name, shape);
        List<IFrozenWeight> matrices = [.. Enumerable.Range(0, _block.Experts).Select(e => Held(PlainExperts.Of(_block, all, e), isGateUp))];
        if (options.Quantize != QuantizeKind.None) files.DropPages(name);
        return matrices;
    }

    // Gate and up are quantized each by itself, as in a folder that has a tensor for each: both give the same values.
    private IFrozenWeight Held(IFrozenWeight stored, bool isGateUp)
    {
        if (options.Quantize == QuantizeKind.None) return stored;
        using var whole = stored;
        return isGateUp ? PlainExperts.Joined(_block, Quantized(PlainExperts.Half(_block, whole, ExpertPart.Gate)),
            Quantized(PlainExperts.Half(_block, whole, ExpertPart.Up))) : Quantized(whole);
    }

    private List<Tensor>? Biases(string name, Dictionary<string, long[]> shapes)
    {
        if (!shapes.TryGetValue($"{name}_bias", out var shape)) return null;
        using var all = files.Take($"{name}_bias", shape);
        return [.. Enumerable.Range(0, _block.Experts).Select(e => Bias(all, e))];
    }

    private IFrozenWeight Quantized(IFrozenWeight dense)
        => options.Quantize == QuantizeKind.Nf4 ? Nf4Weight.Quantize(dense, options.DoubleQuantize) : Int8Weight.Quantize(dense);

    private Tensor Bias(Tensor all, int expert)
    {
        using var scope = NewDisposeScope();
        return all.select(0, expert).to(ScalarType.Float32, new Device(options.Device), copy: true).DetachFromDisposeScope();
    }
}
