using System.Runtime.InteropServices;

namespace Trainer.Engine.Weights;

/// <summary>Looks over every frozen matrix and vector of a model: to prove that none changed, and to find one that is not finite.</summary>
public static unsafe class BaseWeights
{
    private const long PartFloats = 1 << 20;
    private const ulong Seed = 0xcbf29ce484222325;
    private const ulong Prime = 0x9e3779b97f4a7c15;

    /// <summary>A number over the bits of all frozen weights as float32, in module order; any changed bit changes it.</summary>
    /// <param name="model">A loaded model.</param>
    public static ulong Checksum(LoadedDecoder model)
    {
        var sum = Seed;
        Visit(model, (_, part) =>
        {
            sum = Mix(sum, part);
            return true;
        });
        return sum;
    }

    /// <summary>The name of the first frozen tensor that holds NaN or infinity, or null.</summary>
    /// <param name="model">A loaded model.</param>
    public static string? FirstNonFinite(LoadedDecoder model)
    {
        string? found = null;
        Visit(model, (name, part) =>
        {
            foreach (var value in part)
            {
                if (float.IsFinite(value)) continue;
                found = name;
                return false;
            }
            return true;
        });
        return found;
    }

    // Four lanes hide the latency of the multiplication: a byte is read about as fast as memory gives it.
    private static ulong Mix(ulong seed, ReadOnlySpan<float> part)
    {
        var words = MemoryMarshal.Cast<float, ulong>(part);
        ulong a = seed, b = seed + 1, c = seed + 2, d = seed + 3;
        var i = 0;
        for (; i + 4 <= words.Length; i += 4)
        {
            a = (a ^ words[i]) * Prime;
            b = (b ^ words[i + 1]) * Prime;
            c = (c ^ words[i + 2]) * Prime;
            d = (d ^ words[i + 3]) * Prime;
        }
        for (; i < words.Length; i++) a = (a ^ words[i]) * Prime;
        if (part.Length % 2 != 0) b = (b ^ BitConverter.SingleToUInt32Bits(part[^1])) * Prime;
        return ((a ^ (b >> 29)) * Prime ^ (c ^ (d >> 31))) * Prime ^ (d << 7);
    }

    private delegate bool Visitor(string name, ReadOnlySpan<float> part);

    private static void Visit(LoadedDecoder model, Visitor visitor)
    {
        List<(string Name, IFrozenWeight Weight)> matrices = [(model.Embedding.Name, model.Embedding.Weight),
            .. model.Linears.Select(linear => (linear.Name, linear.Weight))];
        matrices.AddRange(model.Ends.Tables.Select(table => (table.Key, table.Value)));
        foreach (var experts in model.Experts)
            for (var e = 0; e < experts.Experts.Count; e++)
                matrices.AddRange([($"{experts.Name}.{e}.gate_up_proj", experts.Experts[e].GateUp),
                    ($"{experts.Name}.{e}.down_proj", experts.Experts[e].Down)]);
        if (!model.Config.TiedEmbeddings) matrices.Add((model.Head.Name, model.Head.Weight));
        // One buffer for all: a fresh one a matrix would lie in the large-object heap until a full collection.
        var part = new float[matrices.Max(matrix => Math.Max(PartFloats, matrix.Weight.Columns))];
        foreach (var (name, weight) in matrices)
            if (!VisitMatrix(name + ".weight", weight, part, visitor)) return;
        foreach (var linear in model.Linears.Where(linear => linear.Bias is not null))
            if (!VisitVector(linear.Name + ".bias", linear.Bias!, visitor)) return;
        foreach (var norm in model.Norms)
            if (!VisitVector(norm.Name + ".weight", norm.Weight, visitor) || (norm.Bias is { } bias && !VisitVector(norm.Name + ".bias", bias, visitor)))
                return;
        if (model.Head.Bias is { } headBias && !VisitVector(model.Head.Name + ".bias", headBias, visitor)) return;
        foreach (var parameter in model.Layers.SelectMany(layer => layer.Parameters))
            if (!VisitVector(parameter.Name, parameter.Value, visitor)) return;
    }

    private static bool VisitMatrix(string name, IFrozenWeight weight, float[] part, Visitor visitor)
    {
        var rows = Math.Max(1, part.Length / weight.Columns);
        fixed (float* pointer = part)
        {
            for (long row = 0; row < weight.Rows; row += rows)
            {
                var count = Math.Min(rows, weight.Rows - row);
                weight.Materialize(row, count, pointer);
                if (!visitor(name, part.AsSpan(0, (int)(count * weight.Columns)))) return false;
            }
        }
        return true;
    }

    private static bool VisitVector(string name, TorchSharp.torch.Tensor vector, Visitor visitor)
    {
        using var flat = vector.to(TorchSharp.torch.ScalarType.Float32).cpu().contiguous();
        return visitor(name, flat.data<float>().ToArray());
    }
}
