using TorchSharp;
using Trainer.Adapters;
using Trainer.Engine;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Cli.Machine;

/// <summary>What a device computes of the embedded model, beside what the processor computes.</summary>
internal static class DeviceProof
{
    // Those of the comparison with the reference implementation.
    private const double LossGate = 1e-5;
    private const double GradientGate = 1e-4;

    /// <summary>One comparison.</summary>
    /// <param name="Name">What was compared.</param>
    /// <param name="Difference">The largest difference.</param>
    /// <param name="Gate">What is allowed.</param>
    public sealed record Row(string Name, double Difference, double Gate)
    {
        // Not a number is no agreement.
        public bool Holds => Difference <= Gate;
    }

    /// <summary>Mean losses and gradients in float32, of a base as stored and of one in 4 bits.</summary>
    /// <param name="folder">A small model.</param>
    /// <param name="device">As the user names it.</param>
    public static IEnumerable<Row> Run(string folder, string device)
    {
        foreach (var quantize in (QuantizeKind[])[QuantizeKind.None, QuantizeKind.Nf4])
        {
            var form = quantize == QuantizeKind.None ? "a base as stored" : "a 4-bit base";
            var (expected, found) = (Compute(folder, "cpu", quantize), Compute(folder, device, quantize));
            yield return new Row($"mean loss, {form}", Math.Abs(expected.Loss - found.Loss), LossGate);
            yield return new Row($"gradients, {form}",
                expected.Gradients.Max(pair => Largest(pair.Value, found.Gradients[pair.Key]) / pair.Value.Max(Math.Abs)), GradientGate);
        }
    }

    private static (double Loss, Dictionary<string, float[]> Gradients) Compute(string folder, string device, QuantizeKind quantize)
    {
        using var model = CausalModel.Load(folder, new ModelLoadOptions { Quantize = quantize, Compute = ComputeKind.Float32 }.On(device));
        AdapterInjector.Inject(model, new LoraSpec { Rank = 4 }, 1);
        // B is 0 in a fresh adapter, which would leave A without gradient.
        var random = new Random(1);
        foreach (var entry in model.Parameters.Entries)
            model.Parameters.Write(entry, Enumerable.Range(0, checked((int)entry.Count)).Select(_ => (float)(random.NextDouble() - 0.5) * 0.1f).ToArray());
        int[] tokens = [.. Enumerable.Range(1, 64)];
        var batch = TokenBatch.OfRows([(tokens, tokens)]);
        var loss = model.TokenLosses(batch).Sum(each => (double)each) / batch.TrainedTokens;
        model.ForwardBackward(batch, 1.0 / batch.TrainedTokens);
        return (loss, model.Parameters.Entries.ToDictionary(entry => entry.Name, entry => Values(model.Parameters.Gradient(entry))));
    }

    private static float[] Values(torch.Tensor tensor)
    {
        using var here = tensor.cpu();
        return here.data<float>().ToArray();
    }

    private static double Largest(float[] a, float[] b) => a.Zip(b, (x, y) => Math.Abs((double)x - y)).Max();
}
