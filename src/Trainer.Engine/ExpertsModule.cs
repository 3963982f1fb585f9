using TorchSharp;
using Trainer.Models.Drawing;
using Trainer.Models.Parts;

namespace Trainer.Engine;

/// <summary>The frozen matrices of a block's experts, each held by itself, with perhaps an adapter.</summary>
public sealed class ExpertsModule
{
    internal ExpertsModule(ModuleBlueprint blueprint, IReadOnlyList<Expert> experts)
    {
        Blueprint = blueprint;
        Experts = experts;
    }

    /// <summary>What it is.</summary>
    public ModuleBlueprint Blueprint { get; }

    /// <summary>Module path, e.g. <c>model.layers.0.mlp.experts</c>.</summary>
    public string Name => Blueprint.Path;

    /// <summary>Zero-based layer.</summary>
    public int Layer => Blueprint.Layer;

    /// <summary>The experts, in order.</summary>
    public IReadOnlyList<Expert> Experts { get; }

    /// <summary>An adapter on gates and ups of all experts, or null.</summary>
    public ExpertAdapter? GateUpAdapter { get; private set; }

    /// <summary>An adapter on downs of all experts, or null.</summary>
    public ExpertAdapter? DownAdapter { get; private set; }

    /// <summary>Adapters on single experts.</summary>
    public IEnumerable<LinearAdapter> OwnAdapters => Experts.SelectMany(expert => new[] { expert.Gate, expert.Up, expert.DownAdapter }).OfType<LinearAdapter>();

    internal void Attach(TrainedModule? trained, ParameterBuffer parameters)
    {
        (GateUpAdapter, DownAdapter) = (null, null);
        foreach (var expert in Experts) (expert.Gate, expert.Up, expert.DownAdapter) = (null, null, null);
        foreach (var (part, index, update) in trained?.Experts ?? [])
        {
            if (index < 0)
            {
                var all = new ExpertAdapter { Rank = update.Rank, Scale = update.Scale, A = parameters.Find(update.A)!, B = parameters.Find(update.B)! };
                if (part == ExpertPart.GateUp) GateUpAdapter = all;
                else DownAdapter = all;
                continue;
            }
            var own = LinearAdapter.Of(update, parameters);
            var expert = Experts[index];
            if (part == ExpertPart.Gate) expert.Gate = own;
            else if (part == ExpertPart.Up) expert.Up = own;
            else expert.DownAdapter = own;
        }
    }

    /// <summary>Whether anything of it is trained.</summary>
    public bool IsTrained => GateUpAdapter is not null || DownAdapter is not null || Experts.Any(expert => expert.IsTrained);
}
