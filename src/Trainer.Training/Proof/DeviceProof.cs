using TorchSharp;
using Trainer.Adapters;
using Trainer.Engine;
using Trainer.Engine.Native;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Training.Proof;

/// <summary>What a device computes of a small model, beside what the processor computes: losses, gradients, ten steps; kernels of our own one by one.</summary>
public static class DeviceProof
{
    private const int StepCount = 10;

    // Those of the comparison with the reference implementation.
    private const double LossGate = 1e-5;
    private const double GradientGate = 1e-4;
    private const double StepGate = 1e-4;

    /// <summary>Compares.</summary>
    /// <param name="run">A short run on a small model, in which the ten steps are made; where it writes and how long it is does not matter.</param>
    /// <param name="device">As the user names it.</param>
    /// <param name="stop">Ends it.</param>
    public static ProofOutcome Run(TrainingOptions run, string device, CancellationToken stop)
    {
        ArgumentNullException.ThrowIfNull(run);
        var proof = new Comparison(run, device, stop);
        var off = proof.Differing();
        return new(ComputeDevice.Identity(device) ?? device, [.. proof.Rows(off), proof.Steps(off)], off);
    }

    private sealed class Comparison(TrainingOptions run, string device, CancellationToken stop)
    {
        private static readonly QuantizeKind[] Kinds = [QuantizeKind.None, QuantizeKind.Nf4];
        private readonly Dictionary<QuantizeKind, (double Loss, Dictionary<string, float[]> Gradients)> _expected
            = Kinds.ToDictionary(kind => kind, kind => Compute(run, Plain("cpu", kind)));

        // A kernel is right by itself or not at all.
        public IReadOnlyList<string> Differing()
        {
            var own = Loaded(Plain(device, QuantizeKind.None)).OwnKernels;
            if (own.Count == 0 || Rows([]).All(row => row.Holds)) return [];
            return [.. own.Where(one => !Rows([.. own.Where(other => other != one)]).All(row => row.Holds))];
        }

        public IEnumerable<ProofRow> Rows(IReadOnlyCollection<string> off)
        {
            foreach (var kind in Kinds)
            {
                stop.ThrowIfCancellationRequested();
                var form = kind == QuantizeKind.None ? "a base as stored" : "a 4-bit base";
                var (expected, found) = (_expected[kind], Compute(run, Loaded(Plain(device, kind)).Without(off)));
                yield return new ProofRow($"mean loss, {form}", Math.Abs(expected.Loss - found.Loss), LossGate);
                yield return new ProofRow($"gradients, {form}",
                    expected.Gradients.Max(pair => Largest(pair.Value, found.Gradients[pair.Key]) / pair.Value.Max(Math.Abs)), GradientGate);
            }
        }

        public ProofRow Steps(IReadOnlyCollection<string> off)
        {
            var (here, there) = (Losses(run with { Device = "cpu", Loading = null }),
                Losses(run with { Device = device, Loading = options => Loaded(options).Without(off) }));
            var difference = here.Length == StepCount && there.Length == StepCount ? Largest(here, there) : double.NaN;
            return new ProofRow($"losses of {StepCount} steps", difference, StepGate);
        }

        private double[] Losses(TrainingOptions options)
        {
            var folder = Directory.CreateTempSubdirectory("trainer-proof-").FullName;
            try
            {
                var heard = new Heard();
                TrainingRun.Run(options with { OutputDirectory = Path.Combine(folder, "run"), MaxSteps = StepCount, SaveSteps = 0, LoggingSteps = 1,
                    Compute = ComputeKind.Float32, IsProof = true }, [heard], stop);
                return [.. heard.Losses];
            }
            finally
            {
                Directory.Delete(folder, recursive: true);
            }
        }

        private ModelLoadOptions Loaded(ModelLoadOptions options) => run.Loading?.Invoke(options) ?? options;

        private static ModelLoadOptions Plain(string place, QuantizeKind kind)
            => new ModelLoadOptions { Quantize = kind, Compute = ComputeKind.Float32 }.On(place);
    }

    private static (double Loss, Dictionary<string, float[]> Gradients) Compute(TrainingOptions run, ModelLoadOptions options)
    {
        using var model = CausalModel.Load(run.ModelDirectory, options);
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

    private static double Largest(double[] a, double[] b) => a.Zip(b, (x, y) => Math.Abs(x - y)).Max();

    private sealed class Heard : ITrainingObserver
    {
        public List<double> Losses { get; } = [];

        public void On(TrainingEvent trainingEvent)
        {
            if (trainingEvent is StepDone done) Losses.Add(done.Loss);
        }
    }
}
