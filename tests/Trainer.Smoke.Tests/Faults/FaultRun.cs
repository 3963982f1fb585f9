using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json.Nodes;

namespace Trainer.Smoke.Tests.Faults;

/// <summary>A short run of the built program on a model and rows of the fixtures, in a folder of its own: what the fault tests break.</summary>
internal sealed class FaultRun : IDisposable
{
    public const int Steps = 30;
    public const int SaveSteps = 4;
    private static readonly string[] OfTheClock = ["tokens_per_second", "memory_bytes", "elapsed_seconds", "eval_seconds"];
    private static readonly ConcurrentDictionary<string, Lazy<(string, string[], double)>> Undisturbed = new();

    private readonly TemporaryFolder _folder = new();
    private readonly string[] _options;

    private static (string, string[], double) RunWhole(string[] options)
    {
        using var run = new FaultRun(options);
        var clock = Stopwatch.StartNew();
        var result = run.Run();
        var seconds = clock.Elapsed.TotalSeconds;
        Assert.True(result.ExitCode == 0, result.Error);
        return (run.AdapterHash, run.Metrics, seconds);
    }

    /// <param name="options">More words of each command; where they give a fresh adapter its shape, none is continued.</param>
    public FaultRun(params string[] options)
    {
        _options = options;
        var rows = new Random(11);
        // The successor rule makes the loss fall; ids stay inside the fixture's vocabulary of 320.
        var lines = Enumerable.Range(0, 40).Select(_ =>
        {
            var ids = new int[rows.Next(12, 40)];
            ids[0] = rows.Next(320);
            for (var i = 1; i < ids.Length; i++) ids[i] = (ids[i - 1] * 7 + 3) % 320;
            return $"{{\"input_ids\":[{string.Join(',', ids)}]}}";
        }).ToList();
        Data = _folder.File("rows.jsonl", string.Join('\n', lines.Take(34)) + "\n");
        EvalData = _folder.File("held.jsonl", string.Join('\n', lines.Skip(34)) + "\n");
        Model = Fixture("llama31");
        Output = System.IO.Path.Combine(_folder.Path, "run");
    }

    /// <summary>Adapter hash, metrics rows and seconds of a run that nobody disturbed.</summary>
    public static (string AdapterHash, string[] Metrics, double Seconds) Whole => WholeOf();

    /// <summary>The same of a run with more options.</summary>
    public static (string AdapterHash, string[] Metrics, double Seconds) WholeOf(params string[] options) =>
        Undisturbed.GetOrAdd(string.Join(' ', options), _ => new Lazy<(string, string[], double)>(() => RunWhole(options))).Value;

    public string Folder => _folder.Path;

    public string Data { get; }

    public string EvalData { get; }

    public string Model { get; set; }

    public string Output { get; set; }

    public static string Fixture(params string[] parts) => System.IO.Path.Combine([TrainerProgram.Repository, "tests", "fixtures", "models", .. parts]);

    private string[] Begun => _options.Any(option => option is "--use-dora" or "--lora-rank")
        ? [] : ["--adapter", Fixture("lora", "llama31_base", "adapter_init")];

    public string[] Words(params string[] more) =>
    [
        "train", "--model", Model, "--data", Data, "--eval-data", EvalData, .. Begun, "--output-dir", Output,
        "--max-steps", Steps.ToString(CultureInfo.InvariantCulture), "--save-steps", SaveSteps.ToString(CultureInfo.InvariantCulture),
        .. Unless("--save-total-limit", "2"), .. Unless("--eval-steps", "10"),
        "--logging-steps", "1", "--batch-size", "2", "--gradient-accumulation-steps", "2", "--learning-rate", "1e-3", .. Unless("--lora-dropout", "0.05"),
        "--threads", "1",
        "--report-to", "none", "--allow-high-loss", .. _options, .. more,
    ];

    private string[] Unless(string option, string value) => _options.Contains(option) ? [] : [option, value];

    public ProgramResult Run(params string[] more) => TrainerProgram.Run(Words(more));

    /// <summary>Starts it and reads its output away, so that a full pipe never stops it.</summary>
    public Process Start(params string[] more)
    {
        var process = TrainerProgram.Start(new ProgramRun(Words(more)));
        process.StandardInput.Close();
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    public string AdapterHash => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(System.IO.Path.Combine(Output, "adapter_model.safetensors"))));

    /// <summary>The rows of metrics.jsonl without what the clock and the machine decide.</summary>
    public string[] Metrics => [.. File.ReadAllLines(MetricsFile).Select(line =>
    {
        var row = (JsonObject)JsonNode.Parse(line)!;
        foreach (var name in OfTheClock) row.Remove(name);
        return row.ToJsonString();
    })];

    /// <summary>Steps of the finished checkpoints, rising.</summary>
    public int[] Checkpoints => !Directory.Exists(Output) ? [] :
        [.. Directory.GetDirectories(Output, "checkpoint-*")
        .Select(path => int.Parse(System.IO.Path.GetFileName(path)["checkpoint-".Length..], CultureInfo.InvariantCulture)).Order()];

    /// <summary>The last step whose row is whole, 0 where there is none.</summary>
    public int LastLoggedStep
    {
        get
        {
            if (!File.Exists(MetricsFile)) return 0;
            var last = 0;
            foreach (var line in File.ReadAllText(MetricsFile).Split('\n'))
            {
                try
                {
                    if (line.Length > 0 && JsonNode.Parse(line)!["loss"] is not null) last = (int)JsonNode.Parse(line)!["step"]!;
                }
                catch (System.Text.Json.JsonException)
                {
                    // The row that the kill cut.
                }
            }
            return last;
        }
    }

    public void Dispose() => _folder.Dispose();

    private string MetricsFile => System.IO.Path.Combine(Output, "metrics.jsonl");
}
