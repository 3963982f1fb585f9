using System.Text.Json;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Safetensors;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Training.Options;
using YamlDotNet.RepresentationModel;

namespace Trainer.Cli.Reports;

/// <summary>Reads a run folder back: metrics.jsonl, recipe.yaml, run.json.</summary>
internal static class RunReader
{
    /// <summary>Columns of a step row, in the order the page expects them.</summary>
    public static readonly string[] StepColumns = ["step", "loss", "learning_rate", "grad_norm", "tokens_per_second", "memory_bytes", "elapsed_seconds",
        "epoch", "trained_tokens"];

    /// <summary>Names of two facts.</summary>
    public const string Loss = "loss, smoothed";

    /// <summary>The lowest loss on held-out rows.</summary>
    public const string BestHeldOut = "best held-out loss";

    private static readonly string[] EvalColumns = ["step", "eval_loss"];
    private const string EvalPrefix = "eval_";

    // All other numbers of a row are what the objective measured.
    private static readonly HashSet<string> Unmeasured = [.. StepColumns, "tokens", "eval_loss", "eval_perplexity", "eval_tokens", "eval_trained_tokens",
        "eval_seconds"];

    public static ReportRun Read(string directory, string? name = null)
    {
        var metrics = Path.Combine(directory, "metrics.jsonl");
        if (!File.Exists(metrics))
            throw new CommandFailedException(ExitCode.Missing,
                $"no metrics.jsonl in '{directory}'; name the folder of a run, such as runs/tiny-20250101-120000");
        RegularFile.RequireAll(directory);
        var (steps, evals, samples) = (new SortedDictionary<double, double[]>(), new SortedDictionary<double, double[]>(), new List<ReportSample>());
        var (measured, held) = (new SortedDictionary<string, SortedDictionary<double, double>>(StringComparer.Ordinal),
            new SortedDictionary<string, SortedDictionary<double, double>>(StringComparer.Ordinal));
        var number = 0;
        foreach (var line in SmallFile.Lines(metrics))
        {
            number++;
            if (line.Length == 0) continue;
            using var row = Parse(line, metrics, number);
            // A later row of the same step is that of the resumed run.
            if (row is null) continue;
            var root = row.RootElement;
            if (root.ValueKind != JsonValueKind.Object) throw NoRow(metrics, number, "it is no object");
            if (root.EnumerateObject().Any(member => member.Value.ValueKind == JsonValueKind.Number && !double.IsFinite(member.Value.GetDouble())))
                throw NoRow(metrics, number, "a number in it is beyond any");
            if (root.TryGetProperty("loss", out _)) Measure(measured, root, "");
            else if (root.TryGetProperty("eval_loss", out _)) Measure(held, root, EvalPrefix);
            if (root.TryGetProperty("loss", out _)) steps[Value(root, "step")] = [.. StepColumns.Select(column => Value(root, column))];
            else if (root.TryGetProperty("eval_loss", out _)) evals[Value(root, "step")] = [.. EvalColumns.Select(column => Value(root, column))];
            else if (root.TryGetProperty("sample_text", out _))
                Say(samples, new ReportSample((int)Value(root, "step"), Text(root, "sample_prompt"), Text(root, "sample_text")));
        }
        var (lengths, maxSteps, ended) = ReadManifest(Path.Combine(directory, "run.json"));
        var status = RunStatus.IsRun(directory) ? RunStatus.Of(directory) : null;
        return new ReportRun
        {
            Name = name ?? Path.GetFileName(Path.GetFullPath(directory).TrimEnd('/')),
            Steps = Thin([.. steps.Values]),
            Evals = [.. evals.Values],
            Measured = [.. measured.Keys.Union(held.Keys).Select(each => new ReportMeasure(each, Thin(Pairs(measured, each)), Pairs(held, each)))],
            Samples = [.. samples.TakeLast(60)],
            Settings = ReadSettings(Path.Combine(directory, "recipe.yaml")),
            Lengths = lengths,
            MaxSteps = maxSteps,
            Ended = ended ?? (status is { State: not "running" } ? status.Text : null),
            Facts = Facts([.. steps.Values], [.. evals.Values], status?.Step ?? 0),
        };
    }

    private static void Measure(SortedDictionary<string, SortedDictionary<double, double>> into, JsonElement row, string prefix)
    {
        foreach (var member in row.EnumerateObject())
        {
            if (member.Value.ValueKind != JsonValueKind.Number || Unmeasured.Contains(member.Name) || !member.Name.StartsWith(prefix, StringComparison.Ordinal))
                continue;
            var name = member.Name[prefix.Length..];
            if (!into.TryGetValue(name, out var values)) into[name] = values = [];
            values[Value(row, "step")] = member.Value.GetDouble();
        }
    }

    private static double[][] Pairs(SortedDictionary<string, SortedDictionary<double, double>> all, string name) =>
        all.TryGetValue(name, out var values) ? [.. values.Select(pair => new[] { pair.Key, pair.Value })] : [];

    private static void Say(List<ReportSample> samples, ReportSample sample)
    {
        samples.RemoveAll(other => other.Step == sample.Step && other.Prompt == sample.Prompt);
        samples.Add(sample);
    }

    private static List<string[]> Facts(IReadOnlyList<double[]> steps, IReadOnlyList<double[]> evals, int known)
    {
        if (steps.Count == 0) return [];
        // Of a run that was stopped between two rows the last steps are in its checkpoint alone.
        var facts = new List<string[]> { new[] { "steps", Math.Max(steps[^1][0], known).ToString("0") }, new[] { Loss, Smoothed(steps).ToString("0.0000") } };
        if (evals.MinBy(row => row[1]) is { } best) facts.Add([BestHeldOut, $"{best[1]:0.0000} {(best[0] == 0 ? "of the base" : $"at step {best[0]:0}")}"]);
        facts.Add(["time", Quantities.Duration(steps[^1][6])]);
        facts.Add(["tokens/s, median", steps.Select(row => row[4]).Order().ElementAt(steps.Count / 2).ToString("0")]);
        facts.Add(["most memory", Quantities.Bytes(steps.Max(row => row[5]))]);
        return facts;
    }

    /// <summary>The running mean at the last row.</summary>
    public static double Smoothed(IReadOnlyList<double[]> steps)
    {
        var mean = new Smoothing();
        foreach (var row in steps) mean.Add(row[0], row[1]);
        return mean.Value;
    }

    /// <summary>What run.json tells beyond the rows of metrics.jsonl; a run of another version, or one that is being begun, may lack any of it.</summary>
    private static (IReadOnlyList<double[]> Lengths, int MaxSteps, string? Ended) ReadManifest(string path)
    {
        if (!File.Exists(path)) return ([], 0, null);
        try
        {
            using var document = JsonDocument.Parse(SmallFile.Text(path));
            var lengths = new List<double[]>();
            var maxSteps = 0.0;
            if (Object(document.RootElement, "data") is { } data)
            {
                maxSteps = Value(data, "steps");
                if (data.TryGetProperty("lengths", out var buckets) && buckets.ValueKind == JsonValueKind.Array)
                    lengths.AddRange(buckets.EnumerateArray().Select(bucket => new[] { Value(bucket, "to"), Value(bucket, "rows") }));
            }
            var ended = Object(document.RootElement, "outcome") is { } outcome ? $"{Text(outcome, "reason")}, {Value(outcome, "steps"):0} steps" : null;
            return (lengths, (int)maxSteps, ended);
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException or IOException)
        {
            // The page shows what there is.
            return ([], 0, null);
        }
    }

    private static JsonElement? Object(JsonElement element, string name)
        => element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Object ? value : null;

    private static JsonDocument? Parse(string line, string file, int number)
    {
        try
        {
            return JsonDocument.Parse(line);
        }
        catch (JsonException fault)
        {
            // The last line of a run that is being written, or was killed, may be half of one.
            if (!line.EndsWith('}')) return null;
            throw NoRow(file, number, fault.Message.ReplaceLineEndings(" ").TrimEnd('.'));
        }
    }

    private static CommandFailedException NoRow(string file, int number, string why) =>
        new(ExitCode.BadData, $"not a row of metrics ({file}:{number}): {why}; take the line out, or restore the file");

    private static double Value(JsonElement row, string name)
        => row.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : 0;

    private static string Text(JsonElement row, string name)
        => row.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";

    /// <summary>At most about 3000 rows, so that the page of a long run stays small; each kept row is a real one.</summary>
    public static IReadOnlyList<double[]> Thin(IReadOnlyList<double[]> rows)
    {
        const int Most = 3000;
        if (rows.Count <= Most) return rows;
        return [.. Enumerable.Range(0, Most).Select(i => rows[(int)((long)i * (rows.Count - 1) / (Most - 1))])];
    }

    public static IReadOnlyList<string[]> ReadSettings(string path)
    {
        if (!File.Exists(path) || RecipeYaml.Load(path) is not { } root) return [];
        return [.. root.Children.Select(pair => new[] { pair.Key.ToString(), Flat(pair.Value) })];
    }

    private static string Flat(YamlNode node) => node switch
    {
        YamlSequenceNode sequence => string.Join(", ", sequence.Children.Select(Flat)),
        YamlMappingNode map => string.Join(", ", map.Children.Select(pair => $"{pair.Key}={Flat(pair.Value)}")),
        _ => node.ToString(),
    };
}
