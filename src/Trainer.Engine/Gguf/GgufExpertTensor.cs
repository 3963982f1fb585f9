using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Gguf;

/// <summary>A tensor of a GGUF file that holds one matrix of all experts of a layer.</summary>
/// <param name="Name">Name in the file.</param>
/// <param name="Part">Which matrix.</param>
/// <param name="Shape">Experts, output features, input features.</param>
public sealed record GgufExpertTensor(string Name, ExpertPart Part, long[] Shape)
{
    /// <summary>Those of a layer's experts: gates and ups apart, but beside a dense block together.</summary>
    /// <param name="config">The model.</param>
    /// <param name="module">Its experts of a layer.</param>
    public static IReadOnlyList<GgufExpertTensor> Of(ModelConfig config, ModuleBlueprint module)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(module);
        long count = module.Experts!.Experts, wide = module.Experts.Width, hidden = module.ExpertColumns;
        GgufExpertTensor One(string name, ExpertPart part, long rows, long columns)
            => new($"blk.{module.Layer}.{name}.weight", part, [count, rows, columns]);
        var down = One("ffn_down_exps", ExpertPart.Down, hidden, wide);
        if (!module.Experts.IsGated) return [One("ffn_up_exps", ExpertPart.Up, wide, hidden), down];
        return config.Layers[module.Layer].FeedForward is DenseBesideExperts
            ? [One("ffn_gate_up_exps", ExpertPart.GateUp, 2 * wide, hidden), down]
            : [One("ffn_gate_exps", ExpertPart.Gate, wide, hidden), One("ffn_up_exps", ExpertPart.Up, wide, hidden), down];
    }
}
