using System.Text;
using Trainer.Data;
using Trainer.Engine;
using Trainer.Engine.Fast;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Generation;
using Trainer.Engine.Passes;
using Trainer.Engine.Reference;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Config;
using Trainer.Models.Drawing;
using Trainer.Models.Parts;
using Trainer.Numerics.Machine;
using Trainer.Training.Steps;

namespace Trainer.Training.Plan;

/// <summary>Memory of a run, added up from the drawings that loader, injection and engine follow.</summary>
internal sealed partial class RunMemory
{
    // .NET, libtorch and its thread pool, before any tensor: measured on Linux.
    public const long RuntimeBytes = 190L << 20;

    // Kernels that libtorch compiles for each shape of bfloat16 products.
    private const long KernelBytes = 48L << 20;

    /// <summary>Name of the part that libtorch's own compiler takes, on the processor alone.</summary>
    public const string Compiled = "compiled products";

    // What a chat template writes around a message; a long system prompt of its own is the exception.
    private const int TemplateTokens = 128;

    private readonly AdapterBlueprint _adapter;
    private readonly TrainingOptions _options;

    public RunMemory(AdapterBlueprint adapter, TrainingOptions options)
    {
        (_adapter, _options) = (adapter, options);
        Refusal = FastCapabilities.Refusal(adapter);
    }

    /// <summary>Why the reference engine computes this run, or null.</summary>
    public string? Refusal { get; }

    // An nf4 folder stays as it is, whatever --quantize says.
    public QuantizeKind Kind => IsStoredNf4 ? QuantizeKind.Nf4 : _options.Quantize;

    /// <summary>Bytes of the values of what is trained; gradients take as many.</summary>
    public long ParameterBytes => ParameterBuffer.LengthOf(_adapter.Tensors) * sizeof(float);

    /// <summary>Frozen weights, all in memory: matrices as they are held, embedding and head as stored, norms and biases in float32.</summary>
    public long BaseBytes => MatrixBytes + VectorBytes;

    /// <summary>Frozen matrices alone.</summary>
    public long MatrixBytes => Decoder.Stored.Sum(MatrixBytesOf);

    /// <summary>What the smallest window of a streamed base takes.</summary>
    public long SmallestWindow => StreamWindow.Smallest(LayerBytes, Config.LayerCount);

    /// <summary>Bytes of the largest streamed layer.</summary>
    public long LayerBytes => Decoder.Stored.Where(module => module is { Layer: >= 0, Kind: ModuleKind.Linear or ModuleKind.Experts })
        .GroupBy(module => module.Layer)
        .Max(layer => layer.Sum(module => Form is WeightForm.Fp8 or WeightForm.Int4
            ? MatrixBytesOf(module) : EachMatrix(module, (rows, columns) => FrozenBytes.Streamed(Form, rows, columns, IsDoubleQuantized))));

    /// <summary>Bytes of the base that ranks of one machine hold together: what is mapped from its files as it lies there. A base that is quantized while it
    /// loads each has for itself.</summary>
    /// <param name="isStreamed">Whether layers come and go; no two ranks need be at the same one.</param>
    public long SharedBytes(bool isStreamed) => isStreamed ? 0
        : Decoder.Stored.Where(module => module.Kind == ModuleKind.Embedding || module.Role == ModuleRole.Head || IsStoredNf4 || Form == StoredForm)
            .Sum(MatrixBytesOf);

    private ModelConfig Config => Decoder.Config;

    private DecoderBlueprint Decoder => _adapter.Decoder;

    private bool IsStoredNf4 => Config.StoredQuantization is { IsNf4: true };

    private bool IsDoubleQuantized => IsStoredNf4 ? Config.StoredQuantization!.DoubleQuantized : _options.DoubleQuant;

    private bool IsMapped => IsStoredNf4 || _options.Stream == Choice.On;

    private WeightForm StoredForm => Config.StoredType switch { "float32" => WeightForm.Float32, "float16" => WeightForm.Float16, _ => WeightForm.BFloat16 };

    private WeightForm Form => Kind switch
    {
        QuantizeKind.Nf4 => WeightForm.Nf4,
        QuantizeKind.Int8 => WeightForm.Int8,
        _ => Config.StoredQuantization is { } stored ? stored.Bits == 8 ? WeightForm.Fp8 : WeightForm.Int4 : StoredForm,
    };

    // Codes of other tools keep scales for groups of columns; how many, their folders decide tensor by tensor.
    private long MatrixBytesOf(ModuleBlueprint module) => module.Kind switch
    {
        ModuleKind.Norm or ModuleKind.Parameter => 0,
        ModuleKind.Embedding => FrozenBytes.Of(StoredForm, module.Rows, module.Columns, false, true),
        _ when module.Role == ModuleRole.Head => FrozenBytes.Of(StoredForm, module.Rows, module.Columns, false, true),
        _ when Form is WeightForm.Fp8 or WeightForm.Int4 => module.WeightCount * Config.StoredQuantization!.Bits / 8
            + module.WeightCount / (Config.StoredQuantization.GroupSize ?? 128) * 5,
        _ => EachMatrix(module, (rows, columns) => FrozenBytes.Of(Form, rows, columns, IsDoubleQuantized, IsMapped)),
    };

    // Each matrix of each expert is held by itself.
    private static long EachMatrix(ModuleBlueprint module, Func<long, long, long> bytes) =>
        module.Experts is null ? bytes(module.Rows, module.Columns)
        : module.Rows * ExpertTensors.Own(module, 0).Sum(matrix => bytes(matrix.Shape[0], matrix.Shape[1]));

    private long TableBytes => FrozenBytes.Of(StoredForm, Decoder.Embedding.Rows, Decoder.Embedding.Columns, false, true);

    private long VectorBytes => sizeof(float)
        * (Decoder.Stored.Where(module => module.Kind is ModuleKind.Norm or ModuleKind.Parameter).Sum(module => module.ParameterCount)
            + Decoder.Linears.Where(module => module.HasBias).Sum(module => module.Rows));

    private int Threads => _options.Threads ?? MachineLimits.ComputeThreads;

    /// <summary>What of a streamed base is in memory at a time.</summary>
    /// <param name="window">Bytes that layers and head may take; null is the least.</param>
    /// <param name="tokens">Tokens of a micro-batch, whose rows of the embedding are touched.</param>
    public long StreamedBytes(long? window, long tokens)
    {
        // A head in float32 is used where it is mapped.
        var head = StoredForm == WeightForm.Float32 ? 0 : TableBytes;
        var kept = StreamWindow.Of(window, LayerBytes, Config.LayerCount, head).Bytes(LayerBytes, Config.LayerCount, head);
        // The system maps a row together with its neighbourhood.
        var rows = Math.Min(TableBytes, tokens * Math.Max(64 << 10, Config.HiddenSize * (StoredForm == WeightForm.Float32 ? sizeof(float) : sizeof(ushort))));
        return kept + rows + VectorBytes + TableBytes - head;
    }

    /// <summary>The buffers of a micro-step, or of a pass without gradients, where the hand-written engine computes it; else null.</summary>
    /// <param name="batch">The largest batch.</param>
    /// <param name="mode">What the pass is for.</param>
    public PassLayout? Layout(BatchShape batch, PassMode mode)
    {
        if (Refusal is not null) return null;
        PassLayout Of(ComputeKind compute) => EngineLayout.Of(_adapter, batch with { Drops = mode is PassMode.Recomputed or PassMode.Kept }, mode,
            EngineShape.Of(Decoder, compute, Threads, Form, StoredForm));
        var layout = Of(_options.Compute);
        // What auto comes to is measured later.
        return MayBeNarrow && Of(ComputeKind.BFloat16) is var narrow && narrow.Bytes > layout.Bytes ? narrow : layout;
    }

    /// <summary>Parts of one micro-step.</summary>
    /// <param name="batch">The largest micro-batch.</param>
    /// <param name="recompute">Whether only layer inputs are kept.</param>
    public IEnumerable<MemoryPart> StepParts(BatchShape batch, bool recompute)
    {
        if (Layout(batch, recompute ? PassMode.Recomputed : PassMode.Kept) is not { } layout)
        {
            yield return new("activations (reference engine, estimated)", ReferenceMemory.StepBytes(_adapter, batch, recompute));
            yield break;
        }
        yield return new("layer inputs", layout.BytesOf(BufferUse.Stream));
        yield return new(recompute ? "one layer's activations" : "all layers' activations", layout.BytesOf(BufferUse.Activations));
        yield return new("scratch", layout.BytesOf(BufferUse.Scratch) + layout.BytesOf(BufferUse.Batch));
        yield return new("loss chunk", layout.BytesOf(BufferUse.Loss));
        if (MayBeNarrow || _options.Compute == ComputeKind.BFloat16) yield return new(Compiled, KernelBytes);
    }

    /// <summary>What one more micro-batch takes where layers are read once for several.</summary>
    /// <param name="batch">The largest micro-batch.</param>
    public long OwnBytes(BatchShape batch) => Layout(batch, PassMode.Recomputed)?.OwnBytes ?? 0;

    /// <summary>One forward pass, as an evaluation makes it.</summary>
    /// <param name="batch">The largest batch.</param>
    public long ForwardBytes(BatchShape batch) => Layout(batch, PassMode.Losses)?.Bytes ?? ReferenceMemory.StepBytes(_adapter, batch, true);

    /// <summary>What answers to sample prompts and held-out rows take while they are written: keys and values, and a pass where it is larger than a
    /// step's.</summary>
    /// <param name="dataset">The data, or null where rows are as long as they may be.</param>
    /// <param name="stepBytes">What a step takes.</param>
    /// <param name="rollout">Answers that are made up to learn from, or null.</param>
    public long AnswerBytes(Dataset? dataset, long stepBytes, RolloutPlan? rollout = null)
    {
        // A prompt has at most as many tokens as bytes, and what a template writes around it.
        var samples = _options.SamplePrompts.Select(prompt => Encoding.UTF8.GetByteCount(prompt) + TemplateTokens + (long)PromptSampler.AnswerTokens);
        var rows = _options.EvalMetrics.Count == 0 || dataset?.Eval is not { } eval
            ? [] : eval.Lengths.Take(_options.EvalAnswers is > 0 and var some ? some : int.MaxValue).Select(length => length + (long)_options.AnswerTokens);
        var answers = rollout is null ? [] : Enumerable.Repeat(rollout.Longest, rollout.Texts + 1);
        long Worst(IEnumerable<long> lengths, int atOnce)
        {
            List<long> longest = [.. lengths.Select(length => Math.Min(length, Config.Positions)).OrderDescending().Take(atOnce + 1)];
            if (longest.Count == 0) return 0;
            var tokens = Math.Min(longest.Sum(), TextBatch.PassTokens + atOnce);
            var pass = Layout(new BatchShape(tokens, 0, tokens, tokens) { Past = longest[0] }, PassMode.Logits)?.Bytes ?? 0;
            return TextMemory.Bytes(Config, longest.Count, longest.Sum()) + Math.Max(0, pass - stepBytes);
        }
        return Math.Max(Math.Max(Worst(samples, PromptSampler.AtOnce), Worst(rows, PromptSampler.AtOnce)), Worst(answers, rollout?.Texts ?? 0));
    }

    /// <summary>What the proof after saving takes beyond the steps: logits of a few tokens twice, and the adapter read back where the buffers of a step, let go
    /// by then, were smaller.</summary>
    public long ProofBytes(long stepBytes)
    {
        var logits = 4L * Math.Clamp(FinalAdapter.ProofLogits / Config.VocabularySize, 16, FinalAdapter.ProofTokens) * Config.VocabularySize;
        return 2 * logits + Math.Max(0, 2 * ParameterBytes - stepBytes);
    }

    private bool MayBeNarrow => _options.Compute == ComputeKind.Auto && ComputeChoice.MayMeasure(Config.HiddenSize, Decoder.ParameterCount);
}
