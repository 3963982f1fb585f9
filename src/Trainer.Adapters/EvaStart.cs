using TorchSharp;
using Trainer.Engine;
using Trainer.Engine.Reference;
using Trainer.Models.Lora;
using static TorchSharp.torch;

namespace Trainer.Adapters;

/// <summary>
/// EVA (arXiv 2410.07170): A begins with the principal directions of what its layer reads in the training rows, and B with 0; layers whose inputs vary
/// in more directions get more of the rank (<see cref="EvaRanks"/>). As PEFT does it: tokens that carry a label, centred, until the directions stand.
/// </summary>
public static class EvaStart
{
    // PEFT's tau: a direction stands when it hardly turns any more.
    private const double Tau = 0.99;

    // More than are used, so that giving up the weakest ones hardly turns the strongest.
    private const int KeptTimes = 4, KeptLeast = 64;

    /// <summary>Puts a fresh adapter on a model.</summary>
    /// <param name="model">The base; what it had before is replaced.</param>
    /// <param name="spec">The shape that was asked for.</param>
    /// <param name="rho">Most times its rank that a layer may get.</param>
    /// <param name="seed">Seed of what is drawn.</param>
    /// <param name="batches">The training rows, in order.</param>
    /// <returns>The adapter's shape, the rank of each layer, and how many batches were read.</returns>
    /// <exception cref="AdapterOptionException">Something else than linear layers is adapted, or no row carries a label.</exception>
    public static (LoraSpec Spec, IReadOnlyDictionary<string, int> Ranks, int Batches) Inject(CausalModel model, LoraSpec spec, double rho, int seed,
        IEnumerable<TokenBatch> batches)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(batches);
        var layers = EvaRanks.Updates(model.Blueprint, spec).Select(module => (module.Module.Path, module.Update!.Rank)).ToList();
        using var scope = NewDisposeScope();
        using var inputs = new InputDirections(layers.ToDictionary(layer => layer.Path, layer => EvaRanks.Most(layer.Rank, Math.Max(1, rho)),
            StringComparer.Ordinal));
        var read = 0;
        foreach (var batch in batches)
        {
            read++;
            if (inputs.Read(model, batch)) break;
        }
        if (layers.FirstOrDefault(layer => !inputs.Has(layer.Path)) is { Path: { } unseen })
            throw new AdapterOptionException($"--init-lora eva saw no token with a label on its way into '{unseen}'; choose other --target-modules, or "
                + "--init-lora kaiming");
        var ranks = EvaRanks.Spread(layers, path => inputs.Of(path).Shares(int.MaxValue), rho);
        var shape = EvaRanks.Shape(model.Blueprint, spec, ranks);
        AdapterInjector.Inject(model, shape, seed, linear => Floats(inputs.Of(linear.Name).Directions(ranks[linear.Name]), ranks[linear.Name]));
        return (shape, ranks, read);
    }

    // Rows that the data does not have so many directions for are 0.
    private static float[] Floats(Tensor directions, int rank)
    {
        var values = new float[rank * directions.shape[1]];
        directions.to(ScalarType.Float32).contiguous().data<float>().ToArray().CopyTo(values, 0);
        return values;
    }

    private sealed class InputDirections(IReadOnlyDictionary<string, int> used) : IDisposable
    {
        // Linears that read the same tensor share its directions.
        private readonly Dictionary<string, PrincipalDirections> _ofLayer = new(StringComparer.Ordinal);
        private readonly Dictionary<PrincipalDirections, Tensor> _before = [];

        public bool Has(string path) => _ofLayer.ContainsKey(path);

        public PrincipalDirections Of(string path) => _ofLayer[path];

        /// <summary>Adds a batch; true where the directions stood.</summary>
        public bool Read(CausalModel model, TokenBatch batch)
        {
            var labelled = Enumerable.Range(1, batch.Length - 1).Where(t => batch.Targets[t - 1] != TokenBatch.IgnoredTarget).Select(t => (long)t).ToArray();
            if (labelled.Length == 0) return false;
            (Tensor? Input, PrincipalDirections? Directions) last = default;
            LayerInputs.Visit(model, batch, (path, input) =>
            {
                if (!used.TryGetValue(path, out var most)) return;
                if (ReferenceEquals(input, last.Input))
                {
                    _ofLayer.TryAdd(path, last.Directions!);
                    return;
                }
                if (!_ofLayer.TryGetValue(path, out var directions))
                    _ofLayer[path] = directions = new PrincipalDirections((int)input.shape[^1], Math.Max(KeptLeast, KeptTimes * most));
                directions.Add(input.reshape(batch.Length, input.shape[^1]).index_select(0, tensor(labelled, device: input.device)));
                last = (input, directions);
            });
            return _ofLayer.Select(pair => Stands(pair.Value, used[pair.Key])).ToList().TrueForAll(stands => stands);
        }

        private bool Stands(PrincipalDirections directions, int most)
        {
            using var scope = NewDisposeScope();
            var now = directions.Directions(most);
            var stands = _before.Remove(directions, out var before) && before.shape[0] == now.shape[0]
                && (before * now).sum(1).abs().min().item<double>() >= Tau;
            before?.Dispose();
            _before[directions] = now.DetachFromDisposeScope();
            return stands;
        }

        public void Dispose()
        {
            foreach (var directions in _ofLayer.Values.Distinct()) directions.Dispose();
            foreach (var before in _before.Values) before.Dispose();
        }
    }
}
