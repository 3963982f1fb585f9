using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Runs;
using Trainer.Data;
using Trainer.Models;
using Trainer.Numerics.Machine;
using Trainer.Training.Steps;

namespace Trainer.Training.State;

/// <summary>run.json: what a run was computed from, with what, on what, and what came out.</summary>
internal sealed record RunManifest
{
    public const string FileName = "run.json";

    /// <summary>Counts up when the meaning of a key changes.</summary>
    public int Format { get; init; } = 1;

    public string TrainerVersion { get; init; } = typeof(RunManifest).Assembly.GetName().Version?.ToString(3) ?? "0";

    public string Runtime { get; init; } = RuntimeInformation.FrameworkDescription;

    public string StartedUtc { get; init; } = "";

    /// <summary>The day the run began, without the time.</summary>
    [JsonIgnore]
    public DateTime FirstDay => DateTime.Parse(StartedUtc, CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal).Date;

    public required TrainingOptions Options { get; init; }

    public int Seed { get; init; }

    /// <summary>Threads that computed; the bits of a run belong to this number.</summary>
    public int Threads { get; init; }

    /// <summary>The type the base is multiplied in: what auto came to. A resumed, replayed or reproduced run takes it and measures nothing.</summary>
    public ComputeKind? Compute { get; init; }

    /// <summary>The options with what was settled at the start.</summary>
    [JsonIgnore]
    public TrainingOptions Settled => Options with { Compute = Compute ?? Options.Compute };

    public MachineFacts? Machine { get; init; }

    /// <summary>Null until the files were read.</summary>
    public Fingerprint? Files { get; init; }

    public string? BaseSha256 { get; init; }

    public string? DataSha256 { get; init; }

    public string? TokenizerSha256 { get; init; }

    public string? TemplateSha256 { get; init; }

    /// <summary>Of recipe.yaml in the run folder, where the command line wrote one.</summary>
    public string? RecipeSha256 { get; init; }

    public DataCounts? Data { get; init; }

    public long? TrainableParameters { get; init; }

    /// <summary>Ranks by module where the rows decided them (EVA); a resumed or replayed run takes them and asks no row.</summary>
    public IReadOnlyDictionary<string, int>? LayerRanks { get; init; }

    /// <summary>The parts of a run that was resumed with more steps, other threads or other options, in order; null where it is all one.</summary>
    public IReadOnlyList<RunSegment>? Segments { get; init; }

    public RunOutcome? Outcome { get; init; }

    /// <summary>The beginning of a run's record; a resumed run keeps its first start.</summary>
    public static RunManifest Begin(TrainingOptions options, RunManifest? earlier) => new()
    {
        StartedUtc = earlier?.StartedUtc ?? TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture),
        // The record keeps the line that began the run, not the one that went on with it.
        Options = options with { Command = earlier?.Options.Command ?? options.Command },
        Seed = options.Seed,
        Machine = MachineFacts.Here(),
    };

    /// <summary>Written before anything slow, so that a run killed while it loads is known as a run.</summary>
    public void WriteIfFirst(RunFolder folder)
    {
        if (folder.IsFree) Write(folder.Directory);
    }

    public RunManifest With(Fingerprint files, DataCounts counts, IAdaptedModel model) => this with
    {
        Files = files,
        Threads = model.Threads,
        Compute = model.Compute,
        BaseSha256 = Fingerprint.Combined(files.Base),
        DataSha256 = Fingerprint.Combined(files.Data),
        TokenizerSha256 = Fingerprint.Combined(files.Tokenizer),
        TemplateSha256 = files.Template.Count == 0 ? null : Fingerprint.Combined(files.Template),
        Data = counts,
        TrainableParameters = model.Parameters.Count,
    };

    public void WriteWithSteps(string runDirectory, int totalSteps)
        => (this with { Data = Data is null ? null : Data with { Steps = totalSteps } }).Write(runDirectory);

    public void WriteWithOutcome(string runDirectory, int totalSteps, RunOutcome outcome) =>
        (this with { Outcome = outcome, Data = Data is null ? null : Data with { Steps = totalSteps } }).Write(runDirectory);

    public void Write(string runDirectory)
    {
        // Looked for at each writing: the recipe comes when the first step is near, after this record was begun.
        var recipe = Path.Combine(runDirectory, "recipe.yaml");
        var whole = this with { RecipeSha256 = File.Exists(recipe) ? FileDigest.Sha256(recipe) : null };
        AtomicFile.WriteText(Path.Combine(runDirectory, FileName), JsonSerializer.Serialize(whole, RunJson.Options) + "\n");
    }

    /// <summary>Reads a run.json.</summary>
    /// <exception cref="BadFileException">It is not one.</exception>
    public static RunManifest Read(string path)
    {
        try
        {
            RegularFile.Require(path);
            using var document = JsonDocument.Parse(SmallFile.Bytes(path), RunJson.Document);
            RunJson.RequireNoEmptyItems(document.RootElement);
            var manifest = document.Deserialize<RunManifest>(RunJson.Options) ?? throw new JsonException("it is empty");
            if (manifest.Format != 1)
                throw new BadFileException($"run file has format {manifest.Format} ({path}): this trainer reads format 1; use the version that wrote "
                    + $"it, {manifest.TrainerVersion}");
            _ = manifest.FirstDay;
            return manifest;
        }
        catch (Exception fault) when (RunJson.IsBadFile(fault))
        {
            throw new BadFileException($"run file cannot be read ({path}): {RunJson.Why(fault)}; restore it, or start again with --overwrite-output-dir",
                fault);
        }
    }
}

/// <summary>The machine a run was made on.</summary>
/// <param name="OperatingSystem">Operating system.</param>
/// <param name="Processor">Its processor's architecture.</param>
/// <param name="Cores">Logical cores.</param>
/// <param name="MemoryBytes">Memory.</param>
internal sealed record MachineFacts(string OperatingSystem, string Processor, int Cores, long MemoryBytes)
{
    public static MachineFacts Here() => new(
        RuntimeInformation.OSDescription,
        RuntimeInformation.ProcessArchitecture.ToString(),
        MachineLimits.Processors,
        MachineLimits.MemoryBytes);
}

/// <summary>What the data came to.</summary>
/// <param name="Rows">Rows trained on.</param>
/// <param name="Tokens">Tokens of one pass.</param>
/// <param name="TrainedTokens">Of which carry loss.</param>
/// <param name="DroppedRows">Rows left out.</param>
/// <param name="EvalRows">Held-out rows.</param>
/// <param name="Steps">Optimizer steps of the run.</param>
/// <param name="Lengths">Rows by length, before any cut.</param>
/// <param name="Dropped">Rows left out, by reason.</param>
/// <param name="TruncatedRows">Rows cut.</param>
/// <param name="SplitRows">Rows laid out in several.</param>
/// <param name="EmptyAnswers">Rows with an answer without text.</param>
/// <param name="Duplicates">Rows that repeat an earlier one.</param>
/// <param name="NotUsed">Columns and parts that nothing reads, and in how many rows.</param>
internal sealed record DataCounts(long Rows, long Tokens, long TrainedTokens, long DroppedRows, long EvalRows, int Steps,
    IReadOnlyList<LengthBucket>? Lengths = null,
    IReadOnlyDictionary<string, long>? Dropped = null, long TruncatedRows = 0, long SplitRows = 0, long EmptyAnswers = 0, long Duplicates = 0,
    IReadOnlyDictionary<string, long>? NotUsed = null);

/// <summary>What came out.</summary>
/// <param name="Steps">Optimizer steps made.</param>
/// <param name="Reason">Why it ended.</param>
/// <param name="TrainLoss">Mean loss over the run.</param>
/// <param name="BestEvalLoss">Lowest held-out loss.</param>
/// <param name="AdapterSha256">Of adapter_model.safetensors.</param>
internal sealed record RunOutcome(int Steps, string Reason, double TrainLoss, double? BestEvalLoss, string AdapterSha256);
