using Trainer.Models.Lora;
using Trainer.Models.Parts;

namespace Trainer.Models.Drawing;

/// <summary>
/// What an adapter's shape makes of experts. target_parameters adapts a tensor of all experts, as PEFT does with transformers 5; names of target_modules that
/// mean
/// an expert's own projections adapt each by itself, as PEFT did with transformers 4. Experts are frozen unless one of them is named.
/// </summary>
internal sealed class ExpertRules(LoraSpec spec)
{
    private const string Prefix = "base_model.model.";

    /// <summary>Parameters of experts by their names in the module tree: gates and ups, downs.</summary>
    public static (string GateUp, string Down) Parameters(ModuleBlueprint module)
        => ($"{module.Path}.{module.Experts!.Names.AllGateUp}", $"{module.Path}.{module.Experts.Names.AllDown}");

    /// <summary>Paths of one expert's own projections, or none where the family holds experts together alone.</summary>
    public static IEnumerable<string> Own(ModuleBlueprint module, int expert)
    {
        var block = module.Experts!;
        if (block.IsTransposed || block.ExpertsName.Length == 0) return [];
        return ExpertTensors.Own(module, expert).Select(PathOf);
    }

    /// <summary>The updates of a module's experts.</summary>
    /// <param name="module">Experts.</param>
    /// <param name="index">Number of linears before it, for dropout.</param>
    public IReadOnlyList<ExpertUpdate> Apply(ModuleBlueprint module, int index)
    {
        if (spec.LayersToTransform is { } layers && !layers.Contains(module.Layer)) return [];
        var (gateUp, down) = Parameters(module);
        var (hasGateUp, hasDown) = (IsNamed(gateUp), IsNamed(down));
        long wide = module.Experts!.Width, inner = module.Experts.InnerRows, hidden = module.ExpertColumns;
        var updates = new List<ExpertUpdate>();
        // PEFT wraps a module once for each parameter, in the order of their definition: the first lies innermost.
        if (hasGateUp) updates.Add(new(ExpertPart.GateUp, -1, All(module, gateUp, hasDown && Owner(gateUp) == Owner(down), hidden, inner)));
        if (hasDown) updates.Add(new(ExpertPart.Down, -1, All(module, down, false, wide, hidden)));
        if (updates.Count == 0 && !spec.Targets.IsAllLinear && !spec.LeavesExpertsAlone) updates.AddRange(OwnUpdates(module, index));
        return updates;
    }

    private static string PathOf((string Name, long[] Shape, ExpertPart Part) tensor) => tensor.Name[..^".weight".Length];

    private static string Owner(string parameter) => parameter[..parameter.LastIndexOf('.')];

    private bool IsNamed(string parameter) => spec.TargetParameters.Any(name => TargetModules.EndsWith(parameter, name));

    private LowRankUpdate All(ModuleBlueprint module, string parameter, bool isInner, long inputs, long outputs)
    {
        if (spec.Dropout > 0)
            throw new AdapterOptionException($"--lora-dropout {spec.Dropout} has no place on experts' parameters ('{parameter}'); set it to 0");
        if (spec.UseDora || spec.LoraBias)
            throw new AdapterOptionException($"--use-dora and --lora-bias have no place on experts' parameters ('{parameter}'); leave them out");
        var path = Prefix + Owner(parameter) + (isInner ? ".base_layer" : "");
        return Update(parameter, path, inputs, outputs) with { Experts = module.Experts!.Experts };
    }

    private IEnumerable<ExpertUpdate> OwnUpdates(ModuleBlueprint module, int index)
    {
        for (var expert = 0; expert < module.Experts!.Experts && Own(module, expert).Any(); expert++)
        {
            foreach (var tensor in ExpertTensors.Own(module, expert))
            {
                var (path, part) = (PathOf(tensor), tensor.Part);
                if (!spec.Targets.MatchesPath(path) || ModuleChoice.IsExcluded(spec, path)) continue;
                if (spec.UseDora || spec.LoraBias)
                    throw new AdapterOptionException($"--use-dora and --lora-bias have no place on experts ('{path}'); leave them out, or the experts");
                yield return new(part, expert, Update(path, Prefix + path, tensor.Shape[1], tensor.Shape[0]) with { Dropout = spec.Dropout,
                    Index = 1_000_000 + (index * 1000 + expert) * 3 + (int)part });
            }
        }
    }

    private LowRankUpdate Update(string pattern, string path, long inputs, long outputs)
    {
        var (rank, alpha) = (PathPattern.ValueAt(spec.RankPattern, pattern, spec.Rank), PathPattern.ValueAt(spec.AlphaPattern, pattern, spec.Alpha));
        if (rank < 1) throw new AdapterOptionException($"rank {rank} of '{pattern}' is below 1");
        return new LowRankUpdate
        {
            Inputs = inputs,
            Outputs = outputs,
            Rank = rank,
            Alpha = alpha,
            Scale = alpha / (spec.UseRslora ? Math.Sqrt(rank) : rank),
            A = $"{path}.lora_A.weight",
            B = $"{path}.lora_B.weight",
        };
    }
}
