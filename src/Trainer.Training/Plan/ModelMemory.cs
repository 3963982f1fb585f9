using Trainer.Adapters;
using Trainer.Engine;
using Trainer.Engine.Fast;
using Trainer.Models;
using Trainer.Models.Drawing;

namespace Trainer.Training;

/// <summary>Memory of base, adapter and one micro-step as functions of config.json and options, by the layouts that the engines cut.</summary>
internal sealed class ModelMemory(AdapterBlueprint adapter, TrainingOptions options)
{
    // .NET, libtorch and its thread pool, before any tensor: measured on Linux.
    public const long RuntimeBytes = 190L << 20;

    private readonly ModelConfig config = adapter.Decoder.Config;
    private readonly List<ModuleBlueprint> _linears = [.. adapter.Decoder.Linears];

    // A folder that is already quantized stays as it is, whatever --quantize says.
    public QuantizeKind Form => config.StoredQuantization is { IsNf4: true } ? QuantizeKind.Nf4 : options.Quantize;

    private bool IsDoubleQuantized => config.StoredQuantization?.DoubleQuantized ?? options.DoubleQuant;

    private long Query => (long)config.Heads * config.HeadSize;

    private long Kv => (long)config.KvHeads * config.HeadSize;

    private long EmbeddingCount => (long)config.VocabularySize * config.HiddenSize;

    public long BaseParameters => adapter.Decoder.ParameterCount;

    public long TrainableParameters => adapter.ParameterCount;

    /// <summary>Shape of every trained tensor.</summary>
    public IEnumerable<long[]> TrainableShapes => adapter.Tensors.Select(tensor => tensor.Shape);

    /// <summary>Bytes of the values of what is trained; gradients and moments take as many each.</summary>
    public long ParameterBytes => ParameterBuffer.LengthOf(adapter.Tensors) * sizeof(float);

    /// <summary>Frozen matrices: 4-bit codes with their absmax, 8-bit rows with a scale, or as stored; embedding and head always as stored.</summary>
    public long BaseBytes => TableBytes * (config.TiedEmbeddings ? 1 : 2) + NormWeightBytes + MatrixBytes;

    /// <summary>What the smallest window of a streamed base takes.</summary>
    public long SmallestWindow => StreamWindow.Smallest(LayerBytes, config.LayerCount);

    /// <summary>What of a streamed base is in memory at a time.</summary>
    /// <param name="window">Bytes that layers and head may take; null is the least.</param>
    /// <param name="tokens">Tokens of a micro-batch, whose rows of the embedding are touched.</param>
    public long StreamedBytes(long? window, long tokens)
    {
        var head = HeadIsUsedInPlace ? 0 : TableBytes;
        var kept = StreamWindow.Of(window, LayerBytes, config.LayerCount, head).Bytes(LayerBytes, config.LayerCount, head);
        // The system maps a row together with its neighbourhood.
        var rows = Math.Min(TableBytes, tokens * Math.Max(64 << 10, config.HiddenSize * StoredSize));
        return kept + rows + NormWeightBytes + (HeadIsUsedInPlace ? TableBytes : 0);
    }

    private long StoredSize => config.StoredType is "float32" ? 4 : 2;

    private bool HeadIsUsedInPlace => config.StoredType is "float32";

    private long TableBytes => EmbeddingCount * StoredSize;

    private long NormWeightBytes => config.LayerCount * 2L * config.HiddenSize * 4;

    private long LayerBytes => MatrixBytes / config.LayerCount;

    private long MatrixBytes => _linears.Sum(linear => Form switch
    {
        QuantizeKind.Nf4 => linear.WeightCount / 2 + (IsDoubleQuantized ? linear.WeightCount / 64 + linear.WeightCount / 64 / 256 * 4 : linear.WeightCount / 64 * 4),
        QuantizeKind.Int8 => linear.WeightCount + linear.Rows * 4,
        // Codes with a scale for each group of about 128, or as stored.
        _ when config.StoredQuantization is { } stored => linear.WeightCount * stored.Bits / 8 + linear.WeightCount / (stored.GroupSize ?? 128) * 5,
        _ => linear.WeightCount * StoredSize,
    });

    /// <summary>Parts of one micro-step.</summary>
    /// <param name="tokens">Tokens T.</param>
    /// <param name="lossRows">Tokens that carry loss.</param>
    /// <param name="longest">Tokens of the longest row among them.</param>
    /// <param name="recompute">Whether only layer inputs are kept.</param>
    public IEnumerable<MemoryPart> StepParts(long tokens, long lossRows, long longest, bool recompute)
    {
        long hidden = config.HiddenSize, wide = config.IntermediateSize;
        yield return new MemoryPart("layer inputs", 4 * tokens * hidden * (config.LayerCount + 2));
        var layer = LayerFloats();
        yield return new MemoryPart(recompute ? "one layer's activations" : "all layers' activations", 4 * tokens * layer * (recompute ? 1 : config.LayerCount));
        var dropout = options.Lora.Dropout > 0 ? 2 * Math.Max(Math.Max(hidden, wide), Query) : 0;
        List<ModuleBlueprint> scaled = Scaled();
        var scratch = 4 * (tokens * (3 * hidden + 2 * wide + 2 * Query + 2 * Kv + options.Lora.Rank + 1 + dropout + scaled.Select(linear => linear.Rows).DefaultIfEmpty().Max()) + RowFloats(tokens, lossRows));
        yield return new MemoryPart("scratch", scratch + PanelBytes(tokens) + NarrowBytes(tokens) + NormBytes(scaled, tokens) + AttentionBytes(longest));
        yield return new MemoryPart("loss chunk", LossBytes(lossRows));
    }

    /// <summary>One forward pass, as an evaluation makes it: two layer inputs in turns, one layer's activations, no gradients.</summary>
    /// <param name="tokens">Tokens T.</param>
    /// <param name="lossRows">Tokens that carry loss.</param>
    /// <param name="longest">Tokens of the longest row among them.</param>
    public long ForwardBytes(long tokens, long lossRows, long longest)
    {
        var scaled = Scaled();
        var floats = tokens * (4 * config.HiddenSize + LayerFloats() + config.IntermediateSize + options.Lora.Rank + 1 + scaled.Select(linear => linear.Rows).DefaultIfEmpty().Max()) + RowFloats(tokens, lossRows);
        return 4 * floats + PanelBytes(tokens) + NarrowBytes(tokens) + NormBytes(scaled, tokens) + AttentionBytes(longest) + LossBytes(lossRows);
    }

    // What a layer keeps of a token.
    private long LayerFloats()
    {
        long hidden = config.HiddenSize;
        var headNorms = config.QkNorm == QkNorm.None ? 0 : Query + Kv + config.Heads + config.KvHeads;
        var blockNorms = (config.Norms.AfterAttention is null ? 0 : hidden + 1) + (config.Norms.AfterMlp is null ? 0 : hidden + 1);
        var ranks = adapter.Modules.Where(trained => trained.Module.Layer >= 0).GroupBy(trained => trained.Module.Role).Sum(role => role.Max(trained => trained.Update?.Rank ?? 0));
        var wholes = Scaled().GroupBy(linear => linear.Layer).Select(group => group.Sum(linear => linear.Rows)).DefaultIfEmpty().Max();
        return 2 * Query + 2 * Kv + 2L * config.IntermediateSize + hidden + 2 + config.Heads + headNorms + blockNorms + ranks + wholes;
    }

    // DoRA keeps each adapted product before its magnitudes.
    private List<ModuleBlueprint> Scaled() => [.. adapter.Modules.Where(trained => trained.Update?.Magnitude is not null && trained.Module.Layer >= 0).Select(trained => trained.Module)];

    // Where nearly all rows carry loss the last layer is not computed by rows of its own, and their buffers are never touched.
    private long RowFloats(long tokens, long lossRows) => lossRows * (lossRows * 10 < tokens * 9 ? 5L * config.HiddenSize + 2 * Query + 1 : 3L * config.HiddenSize + 1);

    private long LossBytes(long lossRows) => 4 * (Math.Min(lossRows, Math.Max(64, (32L << 20) / config.VocabularySize)) + (config.LogitSoftCap is null ? 0 : Threads)) * config.VocabularySize;

    /// <summary>What the proof after saving takes beyond the steps: logits of a few tokens twice, and the adapter read back where the buffers of a step, let go by then, were smaller.</summary>
    public long ProofBytes(long stepBytes)
    {
        var logits = 4L * Math.Clamp(FinalAdapter.ProofLogits / config.VocabularySize, 16, FinalAdapter.ProofTokens) * config.VocabularySize;
        return 2 * logits + Math.Max(0, 2 * ParameterBytes - stepBytes);
    }

    // What products take besides their operands: on register tiles the same for any matrix, else rows written out as float32 at a time, 4 MiB and at least
    // 512 rows, 128 for short batches, where what lies as float32 is used in place. Narrower types write out besides the tiles of their head.
    private long PanelBytes(long tokens)
    {
        var tiles = StepMemory.TileBytes(tokens, checked((int)Threads));
        if (tiles is { } bytes && options.Compute != ComputeKind.BFloat16) return bytes;
        List<(long Out, long In)> shapes = Form == QuantizeKind.None && config.StoredType is "float32" ? [] : [.. _linears.Select(linear => (linear.Rows, linear.Columns))];
        if (config.StoredType is not "float32") shapes.Add((config.VocabularySize, config.HiddenSize));
        return (tiles ?? 0) + shapes.Select(shape => RowsBytes(shape.Out, shape.In, tokens)).DefaultIfEmpty().Max();
    }

    // Both operands and the result of a narrow product. In bfloat16 the kernels that libtorch compiles for each shape come to it.
    private long NarrowBytes(long tokens)
    {
        var isAuto = options.Compute == ComputeKind.Auto && ComputeChoice.MayMeasure(config.HiddenSize, BaseParameters);
        var kernels = 48L << 20;
        List<ModuleBlueprint> shapes = [.. _linears.DistinctBy(linear => (linear.Rows, linear.Columns))];
        var room = StepMemory.NarrowRows(tokens) * shapes.Max(linear => Math.Max(linear.Columns, StepMemory.PanelRows(linear.Rows, linear.Columns, tokens)));
        var panel = shapes.Max(linear => StepMemory.PanelRows(linear.Rows, linear.Columns, tokens) * linear.Columns);
        if (options.Compute == ComputeKind.BFloat16 || isAuto) return 4 * room + 2 * panel + kernels;
        return options.Compute == ComputeKind.Int8 ? 5 * room + panel : 0;
    }

    // Rows of W + s B A at a time, for their norms.
    private static long NormBytes(List<ModuleBlueprint> scaled, long tokens) => scaled.Select(linear => RowsBytes(linear.Rows, linear.Columns, tokens)).DefaultIfEmpty().Max();

    private static long RowsBytes(long rows, long columns, long tokens) => 4 * StepMemory.PanelRows(rows, columns, tokens) * columns;

    private long Threads => options.Threads ?? Environment.ProcessorCount;

    // Two blocks of scores a thread, and a row of slopes where scores are capped.
    private long AttentionBytes(long longest) =>
        4 * longest * Threads * (2 * Math.Min(longest, Math.Clamp((1 << 17) / Math.Max(1, longest), 32, 128)) + (config.AttentionSoftCap is null ? 0 : 1));
}
