using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Trainer.Engine.Fast.Bench;

namespace Trainer.Benchmarks;

/// <summary>The built program as several ranks of one thread beside one process of as many threads, the same rows in the same global batch, one after the other
/// in turns.</summary>
internal static class RanksCommand
{
    // The first steps touch memory for the first time.
    private const int StepsAside = 2;

    public static int Run(string[] args)
    {
        string Value(string name, string otherwise) => Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length ? args[at + 1] : otherwise;
        int Number(string name, int otherwise) => int.Parse(Value(name, otherwise.ToString(CultureInfo.InvariantCulture)), CultureInfo.InvariantCulture);
        var (ranks, rounds, steps, sequence) = (Number("--ranks", 2), Number("--rounds", 3), Number("--steps", 8), Number("--seq", 256));
        if (ModelShape.Find(Value("--shape", "134m")) is not { } shape || steps <= StepsAside) return StepCommand.Usage();
        var program = Path.GetFullPath(Value("--trainer", "src/Trainer.Cli/bin/Release/net10.0/linux-x64/trainer"));
        if (!File.Exists(program)) throw new FileNotFoundException($"'{program}' is missing: dotnet build src/Trainer.Cli -c Release, or name it by --trainer");
        var folder = Directory.CreateTempSubdirectory("trainer-ranks-").FullName;
        try
        {
            var (model, data) = (Path.Combine(folder, "model"), Path.Combine(folder, "rows.jsonl"));
            StepCommand.Make(shape.Name, model, []);
            var batch = Number("--batch", 4);
            WriteRows(data, batch * ranks * 2, sequence, shape.Vocabulary);
            string[] words =
            [
                "train", "--model", model, "--data", data, "--max-seq-length", $"{sequence}", "--batch-size", $"{batch}", "--gradient-accumulation-steps",
                $"{ranks}", "--max-steps", $"{steps}", "--lora-rank", "16",
                "--gradient-checkpointing", "none", "--dtype", "float32", "--allow-high-loss", "--save-steps", "0", "--report-to", "none", "--logging-steps",
                "1", "--eval-split", "0", "--quiet",
            ];
            List<double> one = [], many = [];
            for (var round = 0; round < rounds; round++)
            {
                one.Add(Rate(program, [.. words, "--threads", $"{ranks}"], Path.Combine(folder, $"one-{round}")));
                many.Add(Rate("mpirun.openmpi", ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-np", $"{ranks}", program, .. words,
                    "--threads", "1"], Path.Combine(folder, $"many-{round}")));
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"round {round + 1}: one process x {ranks} threads {one[^1]:0} tokens/s, {ranks} ranks x 1 "
                    + $"thread {many[^1]:0}, ratio {many[^1] / one[^1]:0.00}"));
            }
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"best of {rounds}: {one.Max():0} and {many.Max():0} tokens/s, "
                + $"ratio {many.Max() / one.Max():0.00}; largest difference of a loss {LargestDifference(folder):0.0e+0}"));
            return 0;
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }

    private static void WriteRows(string path, int rows, int tokens, int vocabulary)
    {
        var random = new Random(7);
        File.WriteAllLines(path, Enumerable.Range(0, rows)
            .Select(_ => $"{{\"input_ids\":[{string.Join(',', Enumerable.Range(0, tokens).Select(_ => random.Next(vocabulary)))}]}}"));
    }

    /// <summary>Tokens a second over all steps but the first ones, of all ranks together.</summary>
    private static double Rate(string program, string[] words, string output)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var word in (string[])[.. words, "--output-dir", output]) start.ArgumentList.Add(word);
        start.Environment["OMP_WAIT_POLICY"] = "passive";
        using var process = Process.Start(start)!;
        var said = process.StandardError.ReadToEndAsync();
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0) throw new InvalidOperationException($"'{program}' ended with exit code {process.ExitCode}:\n{said.Result}");
        var rows = Steps(output).Skip(StepsAside).ToList();
        return rows.Sum(row => row.GetProperty("tokens").GetDouble()) / rows.Sum(
            row => row.GetProperty("tokens").GetDouble() / row.GetProperty("tokens_per_second").GetDouble());
    }

    private static double LargestDifference(string folder) =>
        Steps(Path.Combine(folder, "one-0")).Zip(Steps(Path.Combine(folder, "many-0")))
        .Max(pair => Math.Abs(pair.First.GetProperty("loss").GetDouble() - pair.Second.GetProperty("loss").GetDouble()));

    private static IEnumerable<JsonElement> Steps(string output) =>
        File.ReadLines(Path.Combine(output, "metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)
        .Where(row => row.TryGetProperty("loss", out _));
}
