using Trainer.Checkpoints.Inspect;
using Trainer.Models.Lora;
using Trainer.Models.Parts;

namespace Trainer.Models.Drawing;

/// <summary>PEFT's rules for what an adapter's shape makes of each module.</summary>
internal sealed class AdapterRules
{
    private const string Prefix = "base_model.model.";

    private readonly DecoderBlueprint _decoder;
    private readonly LoraSpec _spec;
    private readonly HashSet<string> _saved = new(StringComparer.Ordinal);
    private int _linears;

    public AdapterRules(DecoderBlueprint decoder, LoraSpec spec)
    {
        (_decoder, _spec) = (decoder, spec);
        if (spec.Rank < 1) throw new AdapterOptionException($"--lora-rank {spec.Rank} is below 1");
        if (!(spec.Dropout >= 0 && spec.Dropout < 1)) throw new AdapterOptionException($"--lora-dropout {spec.Dropout} is not in [0, 1)");
        if (!double.IsFinite(spec.Alpha)) throw new AdapterOptionException($"--lora-alpha {spec.Alpha} is not a number");
    }

    /// <summary>Refuses names that adapt nothing: they would be dropped without a word, and the file would claim a target that it has no tensors for.</summary>
    public static void RequireNamed(DecoderBlueprint decoder, LoraSpec spec)
    {
        var targets = spec.Targets;
        if (decoder.Norms.FirstOrDefault(norm => targets.MatchesPath(norm.Path) && !ModuleChoice.IsExcluded(spec, norm.Path)) is { } other)
            throw new AdapterOptionException($"--target-modules matches '{other.Path}', a norm, which takes no low-rank adapter; name linear layers or "
                + "embed_tokens, and train norms whole with --modules-to-save");
        var experts = decoder.Modules.Where(module => module.Kind == ModuleKind.Experts).ToList();
        var parameters = experts.SelectMany(module => new[] { ExpertRules.Parameters(module).GateUp, ExpertRules.Parameters(module).Down }).ToList();
        if (spec.TargetParameters.FirstOrDefault(name => !parameters.Exists(path => TargetModules.EndsWith(path, name))) is { } missing)
            throw new AdapterOptionException($"--target-parameters '{missing}' matches no tensor of experts; the model "
                + $"has {(parameters.Count == 0 ? "none" : string.Join(", ", parameters.Select(path => string.Join('.', path.Split('.')[^2..])).Distinct()))}");
        var paths = Adaptable(decoder).Select(module => module.Path).Concat(experts.SelectMany(module => ExpertRules.Own(module, 0))).ToList();
        if (spec.Exclude is { } exclude && exclude.Names.FirstOrDefault(name => !paths.Exists(path => TargetModules.EndsWith(path, name))) is { } absent)
            throw new AdapterOptionException($"--exclude-modules '{absent}' matches no module; the model has {Known(decoder)}");
        if (paths.Exists(targets.MatchesPath) && targets.Names.FirstOrDefault(name => !paths.Exists(path => TargetModules.EndsWith(path, name))) is { } unknown)
            throw new AdapterOptionException($"--target-modules '{unknown}' matches no module; the model has {Known(decoder)}");
    }

    /// <summary>What is trained of a module, or null. Modules come in the order of the parameter buffer.</summary>
    public TrainedModule? Apply(ModuleBlueprint module)
    {
        if (module.Kind == ModuleKind.Linear) _linears++;
        if (module.Kind == ModuleKind.Experts) return new ExpertRules(_spec).Apply(module, _linears) is { Count: > 0 } experts
            ? new TrainedModule(module) { Experts = experts } : null;
        if (TokenRows(module) is { } rows) return rows;
        if (IsTied(module)) return new TrainedModule(module) { Weight = $"{Prefix}{_decoder.Embedding.Path}.weight" };
        if (IsSaved(module.Path))
            return new TrainedModule(module) { Weight = $"{Prefix}{module.Path}.weight", Bias = module.HasBias ? $"{Prefix}{module.Path}.bias" : null };
        var update = IsTarget(module) ? Update(module) : null;
        var trainsBias = module.HasBias && (_spec.Bias == BiasMode.All || (_spec.Bias == BiasMode.LoraOnly && update is not null));
        var bias = trainsBias ? $"{Prefix}{module.Path}.{(update is null ? "" : "base_layer.")}bias" : null;
        return update is null && bias is null ? null : new TrainedModule(module) { Update = update, Bias = bias };
    }

    /// <summary>Refuses a shape that adapts nothing, or that names modules to save which are not there.</summary>
    public void RequireAllUsed(IReadOnlyList<TrainedModule> modules)
    {
        if (!modules.Any(trained => trained.Update is not null || trained.Experts.Count > 0)) throw NothingMatches();
        if (modules.SelectMany(trained => trained.Tensors).Sum(tensor => tensor.Shape.Aggregate(1L, (product, side) => product * side)) is > int.MaxValue
            and var count)
            throw new AdapterOptionException($"{count} trained values are more than one run can hold ({int.MaxValue}); train less with --modules-to-save or "
                + "--lora-rank");
        if (_spec.TokenRows.FirstOrDefault(pair => !TargetModules.EndsWith(_decoder.Embedding.Path, pair.Key)
            && !TargetModules.EndsWith(_decoder.Head.Path, pair.Key)).Key is { } table)
            throw new AdapterOptionException($"trainable_token_indices names '{table}', which is no table of tokens; name embed_tokens or lm_head");
        if (_spec.ModulesToSave.FirstOrDefault(name => !_saved.Contains(name)) is { } unknown)
            throw new AdapterOptionException($"--modules-to-save '{unknown}' matches no module of the model; name one of lm_head, embed_tokens, norm, a "
                + "projection or a block");
    }

    // ensure_weight_tying: one trained copy serves both, as one frozen table did.
    private bool IsTied(ModuleBlueprint module) =>
        _spec.EnsureWeightTying && _decoder.Config.TiedEmbeddings && (module == _decoder.Embedding || module == _decoder.Head)
        && (IsSaved(_decoder.Embedding.Path) | IsSaved(_decoder.Head.Path));

    // The head of a tied model has the embedding's rows, and no tensor of its own.
    private TrainedModule? TokenRows(ModuleBlueprint module)
    {
        if (_spec.TokenRows.Count == 0 || (module != _decoder.Embedding && module != _decoder.Head)) return null;
        var isTiedHead = module == _decoder.Head && _decoder.Config.TiedEmbeddings;
        var named = _spec.TokenRows.Where(pair => TargetModules.EndsWith(module.Path, pair.Key)).ToList();
        var table = isTiedHead ? _decoder.Embedding : module;
        var ids = _spec.TokenRows.Where(pair => TargetModules.EndsWith(table.Path, pair.Key)).Select(pair => pair.Value).FirstOrDefault() ?? [];
        if (isTiedHead && named.Count > 0 && !named[0].Value.SequenceEqual(ids))
            throw new AdapterOptionException($"trainable_token_indices names '{named[0].Key}', which is the embedding in this model; name embed_tokens alone");
        if (ids.Count == 0) return null;
        if (IsSaved(module.Path) || IsTarget(module))
            throw new AdapterOptionException($"'{module.Path}' is trained otherwise already, so none of its rows can be trained alone; leave it out of the "
                + "targets, the saved modules or trainable_token_indices");
        if (ids.Where(id => id < 0 || id >= table.Rows).Select(id => (int?)id).FirstOrDefault() is { } outside)
            throw new AdapterOptionException($"token {outside} of trainable_token_indices is outside the model's vocabulary of {table.Rows}");
        if (ids.Distinct().Count() != ids.Count) throw new AdapterOptionException("trainable_token_indices names a token twice");
        return new TrainedModule(module) { Rows = $"{Prefix}{table.Path}.token_adapter.trainable_tokens_delta", RowIds = ids };
    }

    private bool IsSaved(string path)
    {
        var names = ModuleChoice.SavedBy(_spec, path).ToList();
        _saved.UnionWith(names);
        return names.Count > 0;
    }

    private bool IsTarget(ModuleBlueprint module) => !ModuleChoice.IsExcluded(_spec, module.Path) && module.Kind switch
    {
        ModuleKind.Embedding => _spec.Targets.MatchesPath(module.Path) && _spec.LayersToTransform is null,
        // all-linear leaves out what PEFT would not load.
        ModuleKind.Linear => _spec.Targets.Matches(module)
            && !(_spec.Targets.IsAllLinear && ReaderRules.PeftRefuses(_decoder.Config.ModelType, module.Path))
            && (_spec.LayersToTransform is null || _spec.LayersToTransform.Contains(module.Layer)),
        _ => false,
    };

    private LowRankUpdate Update(ModuleBlueprint module)
    {
        var isEmbedding = module.Kind == ModuleKind.Embedding;
        if (isEmbedding && _spec.LoraBias)
            throw new AdapterOptionException($"--lora-bias has no place on the embedding '{module.Path}'; leave the option or embed_tokens out");
        // An embedding's input is a token, its output a row.
        var (outputs, inputs) = isEmbedding ? (module.Columns, module.Rows) : (module.Rows, module.Columns);
        var (rank, alpha) = (PathPattern.ValueAt(_spec.RankPattern, module.Path, _spec.Rank), PathPattern.ValueAt(_spec.AlphaPattern, module.Path,
            _spec.Alpha));
        // A rank above a side says no more than the side's, but it computes and PEFT takes it.
        if (rank < 1) throw new AdapterOptionException($"rank {rank} of '{module.Path}' is below 1");
        var path = Prefix + module.Path;
        return new LowRankUpdate
        {
            Inputs = inputs,
            Outputs = outputs,
            Rank = rank,
            Alpha = alpha,
            Scale = alpha / (_spec.UseRslora ? Math.Sqrt(rank) : rank),
            Dropout = isEmbedding ? 0 : _spec.Dropout,
            Index = _linears,
            A = isEmbedding ? $"{path}.lora_embedding_A" : $"{path}.lora_A.weight",
            B = isEmbedding ? $"{path}.lora_embedding_B" : $"{path}.lora_B.weight",
            BiasB = _spec.LoraBias ? $"{path}.lora_B.bias" : null,
            Magnitude = _spec.UseDora ? $"{path}.lora_magnitude_vector" : null,
        };
    }

    private AdapterOptionException NothingMatches()
    {
        var wanted = _spec.Targets.Pattern ?? (_spec.Targets.IsAllLinear ? "all-linear" : string.Join(",", _spec.Targets.Names));
        var layers = _spec.LayersToTransform is null ? "" : $" in layers {string.Join(",", _spec.LayersToTransform)} of {_decoder.Config.LayerCount}";
        return new AdapterOptionException($"--target-modules '{wanted}' matches no module{layers}; the model has {Known(_decoder)}");
    }

    private static string Known(DecoderBlueprint decoder) => string.Join(", ", Adaptable(decoder).Select(module => module.Name).Distinct());

    private static IEnumerable<ModuleBlueprint> Adaptable(DecoderBlueprint decoder) => [.. decoder.Linears, decoder.Head, decoder.Embedding];
}
