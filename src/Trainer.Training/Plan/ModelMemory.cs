using System.Text.RegularExpressions;
using Trainer.Adapters;
using Trainer.Models;

namespace Trainer.Training;

/// <summary>Memory of base, adapter and one micro-step as functions of config.json and options, by the layouts that the engines cut.</summary>
internal sealed class ModelMemory(ModelConfig config, TrainingOptions options)
{
    // .NET, libtorch and its thread pool, before any tensor: measured on Linux.
    public const long RuntimeBytes = 190L << 20;

    private readonly TargetModules _targets = TargetModules.Parse(options.Lora.TargetModules);
    private readonly List<LinearShape> _linears = LinearShape.Of(config);

    private long Query => (long)config.Heads * config.HeadSize;

    private long Kv => (long)config.KvHeads * config.HeadSize;

    private long EmbeddingCount => (long)config.VocabularySize * config.HiddenSize;

    public long BaseParameters => _linears.Sum(linear => linear.Count) + EmbeddingCount * (config.TiedEmbeddings ? 1 : 2) + config.LayerCount * 2L * config.HiddenSize + config.HiddenSize;

    public long TrainableParameters => Adapted().Sum(item => item.Rank * (item.Linear.In + item.Linear.Out) + (options.Lora.UseDora ? item.Linear.Out : 0)) + SavedModules();

    /// <summary>Frozen matrices: 4-bit codes with their absmax, 8-bit rows with a scale, or as stored; embedding and head always as stored.</summary>
    public long BaseBytes
    {
        get
        {
            long stored = config.StoredType is "float32" ? 4 : 2;
            var dense = EmbeddingCount * (config.TiedEmbeddings ? 1 : 2) * stored + config.LayerCount * 2L * config.HiddenSize * 4;
            var matrices = _linears.Sum(linear => options.Quantize switch
            {
                Quantize.Nf4 => linear.Count / 2 + (options.DoubleQuant ? linear.Count / 64 + linear.Count / 64 / 256 * 4 : linear.Count / 64 * 4),
                Quantize.Int8 => linear.Count + linear.Out * 4,
                _ => linear.Count * stored,
            });
            // A streamed base has the layer at work and the next one in memory.
            return dense + (options.Stream == Choice.On ? matrices / config.LayerCount * Math.Min(2, config.LayerCount) : matrices);
        }
    }

    /// <summary>Parts of one micro-step.</summary>
    /// <param name="tokens">Tokens T.</param>
    /// <param name="lossRows">Tokens that carry loss.</param>
    /// <param name="recompute">Whether only layer inputs are kept.</param>
    public IEnumerable<MemoryPart> StepParts(long tokens, long lossRows, bool recompute)
    {
        long hidden = config.HiddenSize, wide = config.IntermediateSize;
        yield return new MemoryPart("layer inputs", 4 * tokens * hidden * (config.LayerCount + 2));
        var headNorms = config.QkNorm == QkNorm.None ? 0 : Query + Kv + config.Heads + config.KvHeads;
        var ranks = _linears.Count(linear => linear.Layer == 0) * (long)options.Lora.Rank;
        var layer = 2 * Query + 2 * Kv + 2 * wide + hidden + 2 + headNorms + ranks;
        yield return new MemoryPart(recompute ? "one layer's activations" : "all layers' activations", 4 * tokens * layer * (recompute ? 1 : config.LayerCount));
        var dropout = options.Lora.Dropout > 0 ? 2 * Math.Max(Math.Max(hidden, wide), Query) : 0;
        var scratch = 4 * (tokens * (3 * hidden + 2 * wide + 2 * Query + 2 * Kv + options.Lora.Rank + 1 + dropout) + lossRows * (5 * hidden + 2 * Query + 1));
        yield return new MemoryPart("scratch", scratch + PanelBytes);
        yield return new MemoryPart("loss chunk", 4 * Math.Min(lossRows, Math.Max(64, (32L << 20) / config.VocabularySize)) * config.VocabularySize);
    }

    // Rows of a matrix written out as float32 at a time: 16 MiB, at least 512 rows.
    private long PanelBytes
    {
        get
        {
            if (options.Quantize == Quantize.None && config.StoredType is "float32") return 0;
            var shapes = _linears.Select(linear => (linear.Out, linear.In)).Append((Out: config.VocabularySize, In: config.HiddenSize));
            return shapes.Max(shape => 4 * Math.Min(shape.Out, Math.Max(512, (4L << 20) / shape.In)) * shape.In);
        }
    }

    private IEnumerable<(LinearShape Linear, long Rank)> Adapted()
    {
        var lora = options.Lora;
        foreach (var linear in _linears)
        {
            if (lora.LayersToTransform is { } layers && !layers.Contains(linear.Layer)) continue;
            if (lora.Layers is { } last && linear.Layer < config.LayerCount - last) continue;
            if (!IsTarget(linear.Name)) continue;
            var rank = lora.Rank;
            foreach (var (pattern, value) in lora.RankPattern)
                if (Regex.IsMatch(linear.Name, $"^(?:.*\\.)?(?:{pattern})$", RegexOptions.CultureInvariant)) rank = value;
            yield return (linear, rank);
        }
    }

    private bool IsTarget(string name)
    {
        if (_targets.IsAllLinear) return true;
        if (_targets.Pattern is { } pattern) return Regex.IsMatch(name, $"^(?:{pattern})$", RegexOptions.CultureInvariant);
        return _targets.Names.Any(target => name == target || name.EndsWith("." + target, StringComparison.Ordinal));
    }

    private long SavedModules() => options.Lora.ModulesToSave.Sum(name => name is "lm_head" or "embed_tokens" ? EmbeddingCount : 0);
}
