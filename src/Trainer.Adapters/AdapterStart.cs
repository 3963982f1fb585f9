using TorchSharp;
using Trainer.Engine;
using Trainer.Models.Lora;
using static TorchSharp.torch;

namespace Trainer.Adapters;

/// <summary>
/// Values of a fresh adapter that is not zero. PiSSA (arXiv 2404.02948) begins with the r strongest directions of the weight, B A = U S V^T / s; OLoRA
/// (arXiv 2406.01775) with the first r columns and rows of its QR factors. Both would change what the model says, so the same product is taken off
/// again: the adapter has twice the rank, A = [A; A0], B = [B, -B0], and the second half is frozen. That is the form in which PEFT writes such an
/// adapter for the original base.
/// </summary>
internal static class AdapterStart
{
    /// <summary>Whether the second half of a tensor takes the first one's beginning off, and is frozen.</summary>
    public static bool IsDoubled(AdapterInit init) => init is AdapterInit.Pissa or AdapterInit.Olora;

    /// <summary>A [rank, in] and B [out, rank] of one adapter.</summary>
    /// <param name="init">How.</param>
    /// <param name="linear">The layer, its adapter attached.</param>
    /// <param name="seed">Seed of what is drawn.</param>
    /// <exception cref="AdapterOptionException">The rank does not suit it.</exception>
    public static (float[] A, float[] B) Of(AdapterInit init, LinearModule linear, int seed)
    {
        var adapter = linear.Adapter!;
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        return IsDoubled(init) ? Doubled(init, linear, adapter) : Orthogonal(linear, adapter, seed);
    }

    private static (float[] A, float[] B) Doubled(AdapterInit init, LinearModule linear, LinearAdapter adapter)
    {
        var rank = adapter.Rank / 2;
        var (rows, columns) = (linear.OutFeatures, linear.InFeatures);
        if (rank > Math.Min(rows, columns))
            throw new AdapterOptionException($"--init-lora {init.ToString().ToLowerInvariant()} takes {rank} directions of '{linear.Name}', which has {Math.Min(rows, columns)}; lower --lora-rank");
        var weight = tensor(linear.WeightValues(), [rows, columns]);
        Tensor a, b;
        if (init == AdapterInit.Pissa)
        {
            var (u, s, v) = linalg.svd(weight, fullMatrices: false);
            var root = (s.narrow(0, 0, rank) / adapter.Scale).sqrt();
            (a, b) = (root.unsqueeze(1) * v.narrow(0, 0, rank), u.narrow(1, 0, rank) * root);
        }
        else
        {
            var (q, r) = linalg.qr(weight);
            (a, b) = (r.narrow(0, 0, rank), q.narrow(1, 0, rank));
        }
        return (Floats(cat([a, a], 0)), Floats(cat([b, -b], 1)));
    }

    // PEFT's: odd and even rows of one orthogonal matrix mix random rows, so that B A is 0 and neither factor is.
    private static (float[] A, float[] B) Orthogonal(LinearModule linear, LinearAdapter adapter, int seed)
    {
        if (adapter.Rank % 2 != 0) throw new AdapterOptionException($"--init-lora orthogonal needs an even rank, and '{linear.Name}' has {adapter.Rank}; change --lora-rank");
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
