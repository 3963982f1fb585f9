using System.Text.Json.Serialization;
using Trainer.Checkpoints.Folders;
using Trainer.Data;
using Trainer.Distributed;
using Trainer.Engine;
using Trainer.Models;
using Trainer.Models.Lora;
using Trainer.Training.Objectives;
using Trainer.Training.Records;

namespace Trainer.Training;

/// <summary>On, off, or decided by the plan.</summary>
public enum Choice
{
    /// <summary>Decided by the plan.</summary>
    Auto,
    /// <summary>On.</summary>
    On,
    /// <summary>Off.</summary>
    Off,
}

/// <summary>What the backward pass recomputes.</summary>
public enum Checkpointing
{
    /// <summary>None where the plan says it fits, else On.</summary>
    Auto,
    /// <summary>Only layer inputs are kept.</summary>
    On,
    /// <summary>Everything the backward pass needs is kept.</summary>
    None,
}

/// <summary>The adapter's shape, as PEFT's LoraConfig names it.</summary>
public sealed record LoraOptions
{
    /// <summary>Rank r.</summary>
    public int Rank { get; init; } = LoraSpec.DefaultRank;

    /// <summary>Scaling numerator; null means twice the rank. The scale is alpha / r, or alpha / sqrt(r) with rsLoRA.</summary>
    public double? Alpha { get; init; }

    /// <summary><see cref="Alpha"/>, or what stands for it.</summary>
    [JsonIgnore]
    public double EffectiveAlpha => Alpha ?? 2.0 * Rank;

    /// <summary>Probability with which an adapter input is dropped.</summary>
    public double Dropout { get; init; }

    /// <summary><c>all-linear</c>, a list of names or suffixes, or one regular expression.</summary>
    public IReadOnlyList<string> TargetModules { get; init; } = ["all-linear"];

    /// <summary>Tensors of all experts that are adapted, by the ends of their names; empty leaves experts as they are.</summary>
    public IReadOnlyList<string> TargetParameters { get; init; } = [];

    /// <summary>Adapt the last N layers only; null adapts all.</summary>
    public int? Layers { get; init; }

    /// <summary>Adapt exactly these layers; null adapts all.</summary>
    public IReadOnlyList<int>? LayersToTransform { get; init; }

    /// <summary>Scale by alpha / sqrt(r) (arXiv 2312.03732).</summary>
    public bool UseRslora { get; init; }

    /// <summary>Weight-decomposed adaptation (arXiv 2402.09353).</summary>
    public bool UseDora { get; init; }

    /// <summary>Learning-rate ratio of B to A (LoRA+, arXiv 2402.12354); null or 1 is off.</summary>
    public double? LoraPlusRatio { get; init; }

    /// <summary>Train B alone (LoRA-FA, arXiv 2308.03303).</summary>
    public bool FreezeA { get; init; }

    /// <summary>How fresh tensors are filled.</summary>
    public AdapterInit Init { get; init; } = AdapterInit.Kaiming;

    /// <summary>Most times its rank that a layer may get from EVA, where its inputs vary in more directions than others' do; 1 leaves every rank.</summary>
    public double EvaRho { get; init; } = 2;

    /// <summary>Modules trained and saved whole (suffixes), PEFT's modules_to_save.</summary>
    public IReadOnlyList<string> ModulesToSave { get; init; } = [];

    /// <summary>Modules that are left alone though the targets name them: names or suffixes, or one regular expression.</summary>
    public IReadOnlyList<string> ExcludeModules { get; init; } = [];

    /// <summary>Of a multimodal base: write the adapter for the text model's own class.</summary>
    public bool TextClass { get; init; }

    /// <summary>Tokens whose embedding rows are trained, PEFT's trainable_token_indices; a tied head follows.</summary>
    public IReadOnlyList<int> TrainableTokenIndices { get; init; } = [];

    /// <summary>Tokens whose rows of a head of its own are trained; the new ones of <see cref="AddTokens"/>.</summary>
    public IReadOnlyList<int> TrainableHeadIndices { get; init; } = [];

    /// <summary>A file of texts that become tokens, one a line; null for none.</summary>
    public string? AddTokens { get; init; }

    /// <summary>Rank overrides by module name or regular expression.</summary>
    public IReadOnlyDictionary<string, int> RankPattern { get; init; } = new Dictionary<string, int>();

    /// <summary>Alpha overrides by module name or regular expression.</summary>
    public IReadOnlyDictionary<string, double> AlphaPattern { get; init; } = new Dictionary<string, double>();

    /// <summary>Which biases train.</summary>
    public BiasMode Bias { get; init; } = BiasMode.None;

    /// <summary>A bias on lora_B.</summary>
    public bool LoraBias { get; init; }
}

/// <summary>Everything that decides what a run computes. Immutable; made by the command line from defaults, recipe and options.</summary>
public sealed record TrainingOptions
{
    /// <summary>The model as the user named it: a folder, a hub id, a preset, or <c>tiny</c>.</summary>
    public required string Model { get; init; }

    /// <summary>Resolved folder of the model.</summary>
    public required string ModelDirectory { get; init; }

    /// <summary>Folders of tokenizer and chat template: the model's, unless the adapter that is read or continued brings its own.</summary>
    public TextFolders FindText() => TextFolders.Of(ModelDirectory, AdapterDirectory);

    /// <summary>Data and text options.</summary>
    public required DataOptions Data { get; init; }

    /// <summary>Run folder.</summary>
    public required string OutputDirectory { get; init; }

    /// <summary>A PEFT folder to continue from, or null for a fresh adapter.</summary>
    public string? AdapterDirectory { get; init; }

    /// <summary>The adapter's shape (ignored where <see cref="AdapterDirectory"/> gives one).</summary>
    public LoraOptions Lora { get; init; } = new();

    /// <summary>What is minimised, one of <see cref="ObjectiveTable.Names"/>.</summary>
    public string Objective { get; init; } = "sft";

    /// <summary>How the objective compares answers.</summary>
    public PreferenceOptions Preference { get; init; } = new();

    /// <summary>How answers are made up, rewarded and learnt from.</summary>
    public GrpoOptions Grpo { get; init; } = new();

    /// <summary>Share of the labels taken for wrong: by supervised training, and by the losses that read it.</summary>
    public double LabelSmoothing { get; init; }

    /// <summary>Optimizer steps; null derives them from <see cref="Epochs"/>.</summary>
    public int? MaxSteps { get; init; }

    /// <summary>Passes over the data.</summary>
    public double Epochs { get; init; } = 1;

    /// <summary>Wall-clock limit; null is none.</summary>
    public TimeSpan? MaxTime { get; init; }

    /// <summary>Rows in a micro-batch.</summary>
    public int BatchSize { get; init; } = 1;

    /// <summary>Micro-batches in an optimizer step.</summary>
    public int GradientAccumulationSteps { get; init; } = 1;

    /// <summary>Best-fit packing of rows up to the sequence length.</summary>
    public bool Packing { get; init; }

    /// <summary>Batches of rows of similar length.</summary>
    public bool GroupByLength { get; init; } = true;

    /// <summary>Peak learning rate.</summary>
    public double LearningRate { get; init; } = 2e-4;

    /// <summary>Schedule after warm-up, one of <see cref="Schedules.ScheduleTable.Names"/>.</summary>
    public string LrScheduler { get; init; } = "cosine";

    /// <summary>What the schedule alone reads, by transformers' names.</summary>
    public IReadOnlyDictionary<string, string> LrSchedulerArgs { get; init; } = new Dictionary<string, string>();

    /// <summary>Warm-up: a step count, or a ratio of all steps when below 1.</summary>
    public double WarmupSteps { get; init; } = 0.03;

    /// <summary>Warm-up as a share of all steps, 0 to 1; null takes <see cref="WarmupSteps"/>.</summary>
    public double? WarmupRatio { get; init; }

    /// <summary>The schedule's lowest rate.</summary>
    public double MinLr { get; init; }

    /// <summary>Peak learning rates of some modules by name or regular expression, in place of <see cref="LearningRate"/>.</summary>
    public IReadOnlyDictionary<string, double> LrPattern { get; init; } = new Dictionary<string, double>();

    /// <summary>NEFTune's alpha: noise on embeddings while training; 0 is off.</summary>
    public double NeftuneNoiseAlpha { get; init; }

    /// <summary>Name of the optimizer, one of <see cref="Optimizers.OptimizerTable.Names"/>.</summary>
    public string Optim { get; init; } = "adamw";

    /// <summary>What the optimizer alone reads, by torch's or transformers' names.</summary>
    public IReadOnlyDictionary<string, string> OptimArgs { get; init; } = new Dictionary<string, string>();

    /// <summary>Decoupled weight decay.</summary>
    public double WeightDecay { get; init; }

    /// <summary>First-moment decay.</summary>
    public double AdamBeta1 { get; init; } = 0.9;

    /// <summary>Second-moment decay.</summary>
    public double AdamBeta2 { get; init; } = 0.999;

    /// <summary>Denominator floor.</summary>
    public double AdamEpsilon { get; init; } = 1e-8;

    /// <summary>Global gradient norm limit; 0 is off.</summary>
    public double MaxGradNorm { get; init; } = 1.0;

    /// <summary>How the base is held.</summary>
    public QuantizeKind Quantize { get; init; } = QuantizeKind.Nf4;

    /// <summary>8-bit absmax (QLoRA's double quantization).</summary>
    public bool DoubleQuant { get; init; } = true;

    /// <summary>Compute type.</summary>
    public ComputeKind Compute { get; init; } = ComputeKind.Auto;

    /// <summary>Stream base weights from disk.</summary>
    public Choice Stream { get; init; } = Choice.Auto;

    /// <summary>Activation checkpointing.</summary>
    public Checkpointing GradientCheckpointing { get; init; } = Checkpointing.Auto;

    /// <summary>Optimizer steps between log rows.</summary>
    public int LoggingSteps { get; init; } = 10;

    /// <summary>Optimizer steps between evaluations, or below 1 a share of all steps; null evaluates at the end only (and at the start).</summary>
    public double? EvalSteps { get; init; }

    /// <summary>Whether evaluations come by steps or at the end of each epoch.</summary>
    public Pace EvalStrategy { get; init; } = Pace.Steps;

    /// <summary>Whether there are evaluations between the first and the last step.</summary>
    internal bool EvaluatesBetween => EvalStrategy == Pace.Epoch || EvalSteps is not null;

    /// <summary>Whether checkpoints are written.</summary>
    internal bool Saves => SaveStrategy == Pace.Epoch || SaveSteps > 0;

    /// <summary>Whether checkpoints come by steps or at the end of each epoch.</summary>
    public Pace SaveStrategy { get; init; } = Pace.Steps;

    /// <summary>Optimizer steps between checkpoints, or below 1 a share of all steps; 0 writes none.</summary>
    public double SaveSteps { get; init; } = 100;

    /// <summary>Whole steps of a number that may be a share of all steps, rounded up as transformers does; 0 stays 0.</summary>
    internal static long Every(double steps, long total) => steps is > 0 and < 1 ? Math.Max(1, (long)Math.Ceiling(steps * total)) : (long)steps;

    /// <summary>Checkpoints kept (best and last always are); 0 keeps all.</summary>
    public int SaveTotalLimit { get; init; } = 3;

    /// <summary>What evaluations are compared by: loss, or what the objective measures; see <see cref="EvalMetric"/>.</summary>
    public string MetricForBestModel { get; init; } = EvalMetric.Loss;

    /// <summary>Evaluations without improvement before the run stops; null is off.</summary>
    public int? EarlyStoppingPatience { get; init; }

    /// <summary>The adapter of the best evaluation is the result, not that of the last step. Early stopping does so in any case.</summary>
    public bool LoadBestModelAtEnd { get; init; }

    /// <summary>null: fresh run; <c>auto</c>: newest checkpoint of the run folder; else a checkpoint folder.</summary>
    public string? Resume { get; init; }

    /// <summary>Resume although base, data or options differ.</summary>
    public bool AllowDrift { get; init; }

    /// <summary>Take a run folder that holds another run, deleting that run's files.</summary>
    public bool OverwriteOutputDirectory { get; init; }

    /// <summary>Go on although the first loss of the base says that it hardly beats guessing.</summary>
    public bool AllowHighLoss { get; init; }

    /// <summary>Seed of everything random.</summary>
    public int Seed { get; init; } = 42;

    /// <summary>Seed of the data order; null takes <see cref="Seed"/>.</summary>
    public int? DataSeed { get; init; }

    /// <summary>Shuffle rows each epoch.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>Compute threads; null takes all cores.</summary>
    public int? Threads { get; init; }

    /// <summary>Whether the run takes part in a group of processes.</summary>
    public DistributedMode Distributed { get; init; }

    /// <summary>auto, cpu or cuda.</summary>
    public string Device { get; init; } = "auto";

    /// <summary>Changes how the model is loaded, for tests that compute on a device of their own; null for no change.</summary>
    internal Func<ModelLoadOptions, ModelLoadOptions>? Loading { get; init; }

    /// <summary>Whether the run is itself the proof of a device: then kernels of our own are used that no proof has passed yet.</summary>
    internal bool IsProof { get; init; }

    /// <summary>Resident memory limit in bytes; null takes the machine's.</summary>
    public long? MaxMemoryBytes { get; init; }

    /// <summary>Micro-batches of a step that each streamed layer is read once for; null is as many as memory allows. The values are the same.</summary>
    public int? StreamMicroBatches { get; init; }

    /// <summary>Memory of the device that the run is planned for; null takes the device's own.</summary>
    public long? DeviceMemoryBytes { get; init; }

    /// <summary>Prompts to sample at each evaluation, or empty.</summary>
    public IReadOnlyList<string> SamplePrompts { get; init; } = [];

    /// <summary>What the model's own answers to held-out rows are measured by at each evaluation, of <see cref="Answers.AnswerMetrics.Names"/>; empty lets it
    /// answer none.</summary>
    public IReadOnlyList<string> EvalMetrics { get; init; } = [];

    /// <summary>Held-out rows answered at each evaluation.</summary>
    public int EvalAnswers { get; init; } = 32;

    /// <summary>Most tokens of an answer.</summary>
    public int AnswerTokens { get; init; } = 256;

    /// <summary>What is compared of an answer: a name of <see cref="Answers.AnswerPattern"/> or a regular expression; null compares it whole.</summary>
    public string? AnswerPattern { get; init; }

    /// <summary>Where the prompts came from, or null.</summary>
    public string? SamplePromptsFile { get; init; }

    /// <summary>What is written beside metrics.jsonl and trainer.log; empty writes nothing else.</summary>
    public IReadOnlyList<string> ReportTo { get; init; } = ReportKinds;

    /// <summary>A line for the shell when the run has ended, or null; the program runs it.</summary>
    public string? OnFinish { get; init; }

    /// <summary>The command line that asked for the run, for the record; null where there was none.</summary>
    public string? Command { get; init; }

    /// <summary>What <see cref="ReportTo"/> holds where nothing is said.</summary>
    public static IReadOnlyList<string> ReportKinds { get; } = ["tensorboard", "html"];
}
