using TorchSharp;
using Trainer.Engine;
using Trainer.Models.Lora;
using static TorchSharp.torch;

namespace Trainer.Adapters;

/// <summary>
/// Values of a fresh adapter that is not zero. PiSSA (arXiv 2404.02948) begins with the r strongest directions of the weight, B A = U S V^T / s; OLoRA
/// (arXiv 2406.01775) with the first r columns and rows of its QR factors. Both would change what the model says, so the same product is taken off
/// again (<see cref="DoubledAdapter"/>). LoftQ (arXiv 2310.08659) makes up for what quantization lost: s B A is the best rank-r part of W - Q. Its
/// further rounds would quantize another matrix than W, so that the adapter would not fit the base; the first is the one that does. PEFT forgets s.
/// </summary>
internal static class AdapterStart
{
    /// <summary>A [rank, in] and B [out, rank] of one adapter.</summary>
    /// <param name="init">How.</param>
    /// <param name="linear">The layer, its adapter attached.</param>
    /// <param name="plain">The weights before they were quantized.</param>
    /// <param name="seed">Seed of what is drawn.</param>
    /// <exception cref="AdapterOptionException">The rank does not suit it.</exception>
    public static (float[] A, float[] B) Of(AdapterInit init, LinearModule linear, PlainWeights plain, int seed)
    {
        var adapter = linear.Adapter!;
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        if (init == AdapterInit.Orthogonal) return Orthogonal(linear, adapter, seed);
        if (init == AdapterInit.Loftq)
        {
            RequireDirections(init, linear.Name, adapter.Rank, linear.OutFeatures, linear.InFeatures);
            return Lost(plain.Of(linear), linear.WeightValues(), [linear.OutFeatures, linear.InFeatures], adapter.Rank, adapter.Scale);
        }
        var (a, b) = Beginning(init, linear.Name, linear.WeightValues(), linear.OutFeatures, adapter.Rank / 2, adapter.Scale);
        return Doubled(a, b, a, b, adapter.Rank / 2);
    }

    /// <summary>A0 [rank, in] and B0 [out, rank], whose product the adapter begins with.</summary>
    /// <param name="init">PiSSA or OLoRA.</param>
    /// <param name="module">Path of the layer, for the fault.</param>
    /// <param name="weight">Its weight [rows, columns].</param>
    /// <param name="rows">Output features.</param>
    /// <param name="rank">Rank of one half.</param>
    /// <param name="scale">What multiplies B A.</param>
    /// <exception cref="AdapterOptionException">The weight has fewer directions.</exception>
    public static (float[] A, float[] B) Beginning(AdapterInit init, string module, float[] weight, long rows, int rank, double scale)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var columns = weight.LongLength / rows;
        RequireDirections(init, module, rank, rows, columns);
        if (init == AdapterInit.Pissa)
        {
            var (first, second) = Strongest(tensor(weight, [rows, columns]), rank, scale);
            return (Floats(first), Floats(second));
        }
        var (q, r) = linalg.qr(tensor(weight, [rows, columns]));
        return (Floats(r.narrow(0, 0, rank)), Floats(q.narrow(1, 0, rank)));
    }

    /// <summary>[A; A0] and [B, -B0].</summary>
    public static (float[] A, float[] B) Doubled(float[] a, float[] b, float[] a0, float[] b0, int rank)
    {
        var joined = new float[2 * b.Length];
        for (var row = 0; row < b.Length / rank; row++)
        {
            b.AsSpan(row * rank, rank).CopyTo(joined.AsSpan(2 * row * rank));
            for (var j = 0; j < rank; j++) joined[(2 * row + 1) * rank + j] = -b0[row * rank + j];
        }
        return ([.. a, .. a0], joined);
    }

    /// <summary>A and B of the given rank whose product, times the scale, is the best part of what quantization lost.</summary>
    /// <param name="plain">The weight before it was quantized, row-major.</param>
    /// <param name="quantized">The same after.</param>
    /// <param name="shape">Its shape [out, in].</param>
    /// <param name="rank">Rank.</param>
    /// <param name="scale">What the product will be multiplied by.</param>
    public static (float[] A, float[] B) Lost(float[] plain, float[] quantized, long[] shape, int rank, double scale)
    {
        using var scope = NewDisposeScope();
        var (a, b) = Strongest(tensor(plain, shape) - tensor(quantized, shape), rank, scale);
        return (Floats(a), Floats(b));
    }

    private static (Tensor A, Tensor B) Strongest(Tensor matrix, int rank, double scale)
    {
        var (u, s, v) = linalg.svd(matrix, fullMatrices: false);
        var root = (s.narrow(0, 0, rank) / scale).sqrt();
        return (root.unsqueeze(1) * v.narrow(0, 0, rank), u.narrow(1, 0, rank) * root);
    }

    private static void RequireDirections(AdapterInit init, string module, int rank, long rows, long columns)
    {
        if (rank > Math.Min(rows, columns))
            throw new AdapterOptionException($"--init-lora {init.ToString().ToLowerInvariant()} takes {rank} directions of '{module}', which "
                + $"has {Math.Min(rows, columns)}; lower --lora-rank");
    }

    // PEFT's: odd and even rows of one orthogonal matrix mix random rows, so that B A is 0 and neither factor is.
    private static (float[] A, float[] B) Orthogonal(LinearModule linear, LinearAdapter adapter, int seed)
    {
        if (adapter.Rank % 2 != 0)
            throw new AdapterOptionException($"--init-lora orthogonal needs an even rank, and '{linear.Name}' has {adapter.Rank}; change --lora-rank");
        var half = adapter.Rank / 2;
        var random = new AdapterRandom(seed, adapter.A.Name);
        Tensor Normal(long rows, long columns)
        {
            var values = new float[rows * columns];
            random.Normal(values, 1);
            return tensor(values, [rows, columns]);
        }
        var (q, _) = linalg.qr(Normal(adapter.Rank, adapter.Rank));
        var pairs = q.view(half, 2, adapter.Rank);
        var a = Normal(linear.InFeatures, half).mm(pairs.select(1, 0)).t() / 10;
        var b = Normal(linear.OutFeatures, half).mm(pairs.select(1, 1)) / 10;
        return (Floats(a), Floats(b));
    }

    private static float[] Floats(Tensor values) => values.contiguous().data<float>().ToArray();
}
