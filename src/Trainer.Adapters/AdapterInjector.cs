using Trainer.Engine;
using Trainer.Models;

namespace Trainer.Adapters;

/// <summary>Gives chosen modules of a model their adapters and trained copies, and the model one parameter buffer for all of them.</summary>
public static class AdapterInjector
{
    private const string Prefix = "base_model.model.";

    /// <summary>Puts a fresh adapter on a model; its output does not change (B is 0).</summary>
    /// <param name="model">A loaded model; what it had before is replaced.</param>
    /// <param name="spec">The adapter's shape.</param>
    /// <param name="seed">Seed of A.</param>
    /// <exception cref="AdapterOptionException">Nothing matches, a rank is larger than a matrix, or names match nothing.</exception>
    public static void Inject(CausalModel model, LoraSpec spec, int seed)
    {
        CheckTargets(model, spec);
        Attach(model, spec);
        Fill(model, spec, seed);
    }

    /// <summary>Makes the adapter's tensors and hangs them onto the modules, values still 0.</summary>
    internal static void Attach(CausalModel model, LoraSpec spec)
    {
        Check(spec);
        var plan = new Plan(model, spec);
        Clear(model);
        var parameters = new ParameterBuffer(plan.Tensors, model.Options.Device);
        plan.Apply(parameters);
        model.Attach(parameters);
    }

    private static void Check(LoraSpec spec)
    {
        if (spec.Rank < 1) throw new AdapterOptionException($"--lora-rank {spec.Rank} is below 1");
        if (!(spec.Dropout >= 0 && spec.Dropout < 1)) throw new AdapterOptionException($"--lora-dropout {spec.Dropout} is not in [0, 1)");
        if (!double.IsFinite(spec.Alpha)) throw new AdapterOptionException($"--lora-alpha {spec.Alpha} is not a number");
    }

    // A name that adapts nothing would be dropped without a word, and the file would claim a target that it has no tensors for.
    private static void CheckTargets(CausalModel model, LoraSpec spec)
    {
        var targets = spec.Targets;
        if (Norms(model).FirstOrDefault(norm => targets.MatchesPath(norm.Name) && !ModuleChoice.IsExcluded(spec, norm.Name)) is { } other)
            throw new AdapterOptionException($"--target-modules matches '{other.Name}', a norm, which takes no low-rank adapter; name linear layers or embed_tokens, and train norms whole with --modules-to-save");
        var paths = Matrices(model).ToList();
        if (spec.Exclude is { } exclude && exclude.Names.FirstOrDefault(name => !paths.Exists(path => TargetModules.EndsWith(path, name))) is { } absent)
            throw new AdapterOptionException($"--exclude-modules '{absent}' matches no module; the model has {Known(model)}");
        if (paths.Exists(targets.MatchesPath) && targets.Names.FirstOrDefault(name => !paths.Exists(path => TargetModules.EndsWith(path, name))) is { } unknown)
            throw new AdapterOptionException($"--target-modules '{unknown}' matches no module; the model has {Known(model)}");
    }

    /// <summary>The names in modules_to_save that mean a module of the model: PEFT passes over the others and writes no tensors for them.</summary>
    internal static IReadOnlyList<string> SavedNames(CausalModel model, LoraSpec spec)
    {
        var paths = Matrices(model).Concat(Norms(model).Select(norm => norm.Name)).ToList();
        return [.. spec.ModulesToSave.Where(name => paths.Exists(path => ModuleChoice.SavedBy(spec, path).Contains(name)))];
    }

    private static IEnumerable<string> Matrices(CausalModel model) => model.Linears.Append(model.Head).Select(linear => linear.Name).Append(model.Embedding.Name);

    private static string Known(CausalModel model) => string.Join(", ", Matrices(model).Select(path => path[(path.LastIndexOf('.') + 1)..]).Distinct());

    private static void Clear(CausalModel model)
    {
        foreach (var linear in model.Linears.Append(model.Head)) (linear.Adapter, linear.TrainedWeight, linear.TrainedBias) = (null, null, null);
        foreach (var norm in Norms(model)) norm.Trained = null;
        (model.Embedding.Trained, model.Embedding.Adapter) = (null, null);
    }

    private static IEnumerable<NormModule> Norms(CausalModel model) => model.Layers.SelectMany(layer => layer.Norms).Append(model.FinalNorm);

    private static void Fill(CausalModel model, LoraSpec spec, int seed)
    {
        var parameters = model.Parameters;
        foreach (var linear in model.Linears.Append(model.Head))
        {
            if (linear.Adapter is { } adapter)
            {
                var random = new AdapterRandom(seed, adapter.A.Name);
                var values = new float[adapter.A.Count];
                if (spec.Init == AdapterInit.Kaiming) random.Uniform(values, 1 / Math.Sqrt(linear.InFeatures));
                else random.Normal(values, 1.0 / adapter.Rank);
                parameters.Write(adapter.A, values);
                if (adapter.Magnitude is { } magnitude) parameters.Write(magnitude, linear.RowNorms());
            }
        }
        if (model.Embedding.Adapter is { } table)
        {
            // The other way round from a linear layer: A is 0 and B is drawn, as PyTorch draws embeddings.
            var values = new float[table.B.Count];
            new AdapterRandom(seed, table.B.Name).Normal(values, 1);
            parameters.Write(table.B, values);
            if (table.Magnitude is { } magnitude) parameters.Write(magnitude, model.Embedding.ColumnNorms());
        }
        BaseCopies.Write(model);
    }

    /// <summary>What is to be made, found out before anything changes.</summary>
    private sealed class Plan
    {
        private readonly List<(string Name, long[] Shape)> _tensors = [];
        private readonly List<Action<ParameterBuffer>> _steps = [];

        public Plan(CausalModel model, LoraSpec spec)
        {
            var adapted = 0;
            var index = 0;
            var saved = new HashSet<string>(StringComparer.Ordinal);
            bool IsSaved(string path)
            {
                var names = ModuleChoice.SavedBy(spec, path).ToList();
                saved.UnionWith(names);
                return names.Count > 0;
            }
            if (IsSaved(model.Embedding.Name)) Whole(model.Embedding.Name, [model.Embedding.Weight.Rows, model.Embedding.Weight.Columns], entry => model.Embedding.Trained = entry);
            else if (spec.Targets.MatchesPath(model.Embedding.Name) && !ModuleChoice.IsExcluded(spec, model.Embedding.Name) && spec.LayersToTransform is null)
            {
                Adapter(spec, model.Embedding);
                adapted++;
            }
            foreach (var linear in model.Linears.Append(model.Head))
            {
                index++;
                var isTarget = false;
                if (IsSaved(linear.Name))
                {
                    Whole(linear.Name, [linear.OutFeatures, linear.InFeatures], entry => linear.TrainedWeight = entry);
                    if (linear.Bias is not null) Tensor($"{Prefix}{linear.Name}.bias", [linear.OutFeatures], entry => linear.TrainedBias = entry);
                    continue;
                }
                if (spec.Targets.Matches(linear) && !ModuleChoice.IsExcluded(spec, linear.Name) && (spec.LayersToTransform is null || spec.LayersToTransform.Contains(linear.Layer)))
                {
                    Adapter(spec, linear, index);
                    isTarget = true;
                    adapted++;
                }
                if (linear.Bias is not null && (spec.Bias == BiasMode.All || (spec.Bias == BiasMode.LoraOnly && isTarget)))
                    Tensor($"{Prefix}{linear.Name}.{(isTarget ? "base_layer." : "")}bias", [linear.OutFeatures], entry => linear.TrainedBias = entry);
            }
            foreach (var norm in Norms(model))
                if (IsSaved(norm.Name)) Whole(norm.Name, [norm.Weight.NumberOfElements], entry => norm.Trained = entry);
            if (adapted == 0) throw NothingMatches(model, spec);
            if (spec.ModulesToSave.FirstOrDefault(name => !saved.Contains(name)) is { } unknown)
                throw new AdapterOptionException($"--modules-to-save '{unknown}' matches no module of the model; name one of lm_head, embed_tokens, norm, a projection or a block");
        }

        public IReadOnlyList<(string Name, long[] Shape)> Tensors => _tensors;

        public void Apply(ParameterBuffer parameters)
        {
            foreach (var step in _steps) step(parameters);
        }

        private void Whole(string path, long[] shape, Action<ParameterEntry> set) => Tensor($"{Prefix}{path}.weight", shape, set);

        private void Tensor(string name, long[] shape, Action<ParameterEntry> set)
        {
            _tensors.Add((name, shape));
            _steps.Add(parameters => set(parameters.Find(name)!));
        }

        private void Adapter(LoraSpec spec, LinearModule linear, int index)
        {
            var (rank, scale, alpha) = Shape(spec, linear.Name);
            var path = Prefix + linear.Name;
            _tensors.Add(($"{path}.lora_A.weight", [rank, linear.InFeatures]));
            _tensors.Add(($"{path}.lora_B.weight", [linear.OutFeatures, rank]));
            if (spec.LoraBias) _tensors.Add(($"{path}.lora_B.bias", [linear.OutFeatures]));
            if (spec.UseDora) _tensors.Add(($"{path}.lora_magnitude_vector", [linear.OutFeatures]));
            _steps.Add(parameters => linear.Adapter = new LinearAdapter
            {
                Rank = rank,
                Alpha = alpha,
                Scale = scale,
                Dropout = spec.Dropout,
                Index = index,
                A = parameters.Find($"{path}.lora_A.weight")!,
                B = parameters.Find($"{path}.lora_B.weight")!,
                BiasB = parameters.Find($"{path}.lora_B.bias"),
                Magnitude = parameters.Find($"{path}.lora_magnitude_vector"),
            });
        }

        private void Adapter(LoraSpec spec, EmbeddingModule embedding)
        {
            if (spec.LoraBias) throw new AdapterOptionException($"--lora-bias has no place on the embedding '{embedding.Name}'; leave the option or embed_tokens out");
            var (rows, hidden) = (embedding.Weight.Rows, embedding.Weight.Columns);
            var (rank, scale, _) = Shape(spec, embedding.Name);
            var path = Prefix + embedding.Name;
            _tensors.Add(($"{path}.lora_embedding_A", [rank, rows]));
            _tensors.Add(($"{path}.lora_embedding_B", [hidden, rank]));
            if (spec.UseDora) _tensors.Add(($"{path}.lora_magnitude_vector", [hidden]));
            _steps.Add(parameters => embedding.Adapter = new EmbeddingAdapter
            {
                Rank = rank,
                Scale = scale,
                A = parameters.Find($"{path}.lora_embedding_A")!,
                B = parameters.Find($"{path}.lora_embedding_B")!,
                Magnitude = parameters.Find($"{path}.lora_magnitude_vector"),
            });
        }

        private static (int Rank, double Scale, double Alpha) Shape(LoraSpec spec, string path)
        {
            var (rank, alpha) = (PathPattern.ValueAt(spec.RankPattern, path, spec.Rank), PathPattern.ValueAt(spec.AlphaPattern, path, spec.Alpha));
            // A rank above a side says no more than the side's, but it computes and PEFT takes it.
            if (rank < 1) throw new AdapterOptionException($"rank {rank} of '{path}' is below 1");
            return (rank, alpha / (spec.UseRslora ? Math.Sqrt(rank) : rank), alpha);
        }

        private static AdapterOptionException NothingMatches(CausalModel model, LoraSpec spec)
        {
            var wanted = spec.Targets.Pattern ?? (spec.Targets.IsAllLinear ? "all-linear" : string.Join(",", spec.Targets.Names));
            var layers = spec.LayersToTransform is null ? "" : $" in layers {string.Join(",", spec.LayersToTransform)} of {model.Layers.Count}";
            return new AdapterOptionException($"--target-modules '{wanted}' matches no module{layers}; the model has {Known(model)}");
        }
    }
}
