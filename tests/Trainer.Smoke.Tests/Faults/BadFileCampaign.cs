using System.IO.Compression;
using System.Text;
using Xunit.Abstractions;

namespace Trainer.Smoke.Tests.Faults;

/// <summary>
/// Files of ours and of others, damaged at random, through the commands that read them: a documented exit code, never our own fault, no stack, no hang,
/// no memory beyond a limit, nothing that controls a terminal, nothing left behind. TRAINER_FAULT_FILES and TRAINER_FAULT_SEED make it longer and other
/// (scripts/fault-campaign.sh).
/// </summary>
[Trait("ring", "smoke")]
public sealed class BadFileCampaign : IDisposable
{
    private const int LimitSeconds = 60;
    private const long LimitBytes = 1L << 30;
    private static readonly int[] Documented = [0, 2, 3, 4, 65, 69, 73, 75];

    // Each file with the commands that read it. R is the run folder, M the model, S a model in parts, H one of the hub's cache, D the rows, O what is written.
    private static readonly (string File, string[] Commands)[] Kinds =
    [
        ("R/metrics.jsonl", ["report R", "inspect R", "resume", "runs R"]),
        ("R/run.json", ["reproduce R --output-dir O", "report R", "resume", "runs R", "generate --adapter R --prompt hi -n 2"]),
        ("R/recipe.yaml", ["train --config R/recipe.yaml --dry-run", "report R", "resume R"]),
        ("R/trainer_state.json", ["inspect R", "resume"]),
        ("R/checkpoint-4/manifest.json", ["inspect R/checkpoint-4", "resume"]),
        ("R/checkpoint-4/run_state.json", ["resume", "inspect R/checkpoint-4"]),
        ("R/checkpoint-4/trainer_state.json", ["resume", "inspect R/checkpoint-4"]),
        ("R/checkpoint-4/run.json", ["resume"]),
        ("R/checkpoint-4/trainer_state.safetensors", ["resume"]),
        ("R/adapter_config.json", ["eval --model M --data D --adapter R", "inspect R", "export --model M --adapter R --output O.gguf",
            "merge --model M --adapter R --output O --no-check", "export --adapter R --format peft --output O"]),
        ("R/adapter_model.safetensors", ["eval --model M --data D --adapter R", "merge --model M --adapter R --output O --no-check",
            "export --adapter R --format peft --output O", "inspect R"]),
        ("M/model.safetensors", ["inspect M/model.safetensors", "eval --model M --data D", "quantize --model M --output O",
            "export --model M --format gguf --output O.gguf"]),
        ("M/config.json", ["inspect M", "plan --model M --no-measure", "quantize --model M --output O", "eval --model M --data D",
            "export --model M --format gguf --output O.gguf"]),
        ("M/generation_config.json", ["generate --model M --prompt hi -n 2", "inspect M"]),
        ("M/tokenizer.json", ["tokenize --model M hello", "data show --model M D", "export --model M --format gguf --output O.gguf"]),
        ("M/tokenizer_config.json", ["data show --model M D", "generate --model M --prompt hi -n 2"]),
        ("M/chat_template.jinja", ["data show --model M chat.jsonl", "generate --model M --prompt hi -n 2", "data check --model M chat.jsonl"]),
        ("S/model.safetensors.index.json", ["inspect S", "plan --model S --data ids.jsonl --no-measure", "eval --model S --data ids.jsonl",
            "quantize --model S --output O"]),
        ("S/model-00002-of-00004.safetensors", ["inspect S", "eval --model S --data ids.jsonl", "quantize --model S --output O"]),
        ("hub/hub/models--org--tiny/refs/main", ["plan --model org/tiny --no-measure", "inspect org/tiny"]),
        ("H/config.json", ["plan --model org/tiny --no-measure", "tokenize --model org/tiny hello"]),
        ("D", ["data check --model M D", "inspect D", "data show --model M D",
            "train --model M --data D --output-dir O --max-steps 1 --threads 1 --report-to none"]),
        ("chat.jsonl", ["data check --model M chat.jsonl", "data show --model M chat.jsonl", "inspect chat.jsonl"]),
        ("rows.json", ["data check --model M rows.json", "data show --model M rows.json", "inspect rows.json"]),
        ("rows.csv", ["data check --model M rows.csv", "data show --model M rows.csv", "inspect rows.csv"]),
        ("rows.parquet", ["data check --model M rows.parquet", "data show --model M rows.parquet", "eval --model M --data rows.parquet"]),
        ("rows.jsonl.gz", ["data check --model M rows.jsonl.gz", "eval --model M --data rows.jsonl.gz"]),
        ("rows.jsonl.zst", ["data check --model M rows.jsonl.zst", "eval --model M --data rows.jsonl.zst"]),
        ("trl.yaml", ["import trl.yaml --from trl"]),
        ("axolotl.yaml", ["import axolotl.yaml --from axolotl", "import axolotl.yaml"]),
        ("a.gguf", ["inspect a.gguf"]),
        ("m.gguf", ["inspect m.gguf"]),
    ];

    private readonly TemporaryFolder _folder = new();
    private readonly ITestOutputHelper _output;

    public BadFileCampaign(ITestOutputHelper output) => _output = output;

    public void Dispose() => _folder.Dispose();

    [SkippableFact]
    [Trait("ring", "slow")]
    public void A_damaged_file_ends_with_a_documented_exit_code_and_a_sentence()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "many commands in one process by means of Linux");
        var (count, seed) = (KillCampaign.Number("TRAINER_FAULT_FILES", 150), KillCampaign.Number("TRAINER_FAULT_SEED", 77));
        Prepare();
        using var batch = new ProgramBatch(LimitSeconds);
        var faults = new List<string>();
        var work = Path.Combine(_folder.Path, "work");
        for (var number = 0; number < count; number++)
        {
            var random = new Random(unchecked(seed * 1_000_003 + number) & int.MaxValue);
            var (file, commands) = Kinds[random.Next(Kinds.Length)];
            if (Directory.Exists(work)) Directory.Delete(work, recursive: true);
            TemporaryFolder.Copy(Path.Combine(_folder.Path, "base"), work);
            var path = Path.Combine(work, In(file));
            Damage.Do(path, random);
            var words = Words(commands[random.Next(commands.Length)]);
            var before = Listing(work);
            var (result, peak) = batch.Run(work, words, new Dictionary<string, string> { ["HF_HOME"] = Path.Combine(work, "hub") });
            foreach (var fault in Faults(result, peak, before, work))
                faults.Add($"seed {seed}, file {number}: {file} through {string.Join(' ', words)}: {fault}\n{result.Error}");
            if (Report is not null && (number + 1) % 100 == 0)
                File.WriteAllText(Report, $"files {number + 1} of seed {seed}, faults {faults.Count}\n{string.Join("\n---\n", faults)}\n");
        }
        _output.WriteLine($"files {count}, faults {faults.Count}");
        Assert.True(faults.Count == 0, string.Join("\n---\n", faults.Take(5)));
    }

    private static IEnumerable<string> Faults(ProgramResult result, long peak, HashSet<string> before, string work)
    {
        var said = result.Output + result.Error;
        if (!Documented.Contains(result.ExitCode)) yield return $"exit code {result.ExitCode}";
        if (said.Contains("   at Trainer.", StringComparison.Ordinal)) yield return "a stack";
        if (said.Any(letter => char.IsControl(letter) && letter is not ('\n' or '\t'))) yield return "a letter that controls the terminal";
        if (peak > LimitBytes) yield return $"{peak >> 20} MiB";
        if (result.ExitCode is 2 or 65 && Listing(work).Except(before).ToList() is { Count: > 0 } left)
            yield return $"left behind: {string.Join(", ", left.Take(4))}";
        if (result.ExitCode != 0 && result.Error.Trim().Length == 0 && result.Output.Trim().Length == 0) yield return "not a word";
    }

    private static HashSet<string> Listing(string folder)
        => [.. Directory.EnumerateFileSystemEntries(folder, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0 })
            .Select(path => Path.GetRelativePath(folder, path))];

    private void Prepare()
    {
        var home = Path.Combine(_folder.Path, "base");
        TemporaryFolder.Copy(Path.Combine(Path.GetDirectoryName(TrainerProgram.FilePath)!, "configs", "tiny-model"), Path.Combine(home, "model"));
        TemporaryFolder.Copy(FaultRun.Fixture("llama31"), Path.Combine(home, "parts"));
        var snapshot = Path.Combine(home, "hub", "hub", "models--org--tiny", "snapshots", Snapshot);
        TemporaryFolder.Copy(Path.Combine(home, "model"), snapshot);
        _folder.File("base/hub/hub/models--org--tiny/refs/main", Snapshot);
        var rows = string.Concat(Enumerable.Range(0, 6).Select(row => $"{{\"text\": \"The harbour {row} is calm.\", \"weight\": 1.5}}\n"));
        _folder.File("base/rows.jsonl", rows);
        _folder.File("base/held.jsonl", "{\"text\": \"The harbour is wide.\"}\n");
        _folder.File("base/rows.json", $"[{string.Join(',', rows.TrimEnd().Split('\n'))}]");
        _folder.File("base/rows.csv", "prompt,completion,note\n"
            + string.Concat(Enumerable.Range(0, 6).Select(row => $"\"What, {row}?\",\"It is \"\"{row}\"\".\",\n")));
        _folder.File("base/ids.jsonl", "{\"input_ids\":[5,6,7,8,9],\"labels\":[-100,6,7,8,9]}\n{\"input_ids\":[15,16,17]}\n");
        _folder.File("base/chat.jsonl",
            string.Concat(Enumerable.Range(0, 3).Select(
            row => $"{{\"messages\":[{{\"role\":\"system\",\"content\":\"Short.\"}},{{\"role\":\"user\",\"content\":\"Is "
                + $"it {row}?\"}},{{\"role\":\"assistant\",\"content\":\"Yes.\"}}]}}\n")));
        _folder.File("base/trl.yaml", "model_name_or_path: model\ndataset_name: rows.jsonl\nuse_peft: true\nlora_r: 8\nlora_target_modules: "
            + "all-linear\nlearning_rate: 2.0e-4\nlr_scheduler_type: cosine\nwarmup_ratio: 0.03\nmax_steps: 4\neval_strategy: steps\nreport_to: "
            + "[tensorboard]\n");
        _folder.File("base/axolotl.yaml", "base_model: model\nadapter: lora\nlora_r: 8\nlora_alpha: 16\ndatasets:\n  - path: rows.jsonl\n    type: "
            + "completion\nval_set_size: 0.1\nsequence_len: 128\nmicro_batch_size: 1\nnum_epochs: 1\nlearning_rate: 0.0002\n");
        using (var packed = new GZipStream(File.Create(Path.Combine(home, "rows.jsonl.gz")), CompressionLevel.Fastest))
            packed.Write(Encoding.UTF8.GetBytes(rows));
        foreach (var name in new[] { "rows.parquet", "rows.jsonl.zst" })
            File.Copy(Path.Combine(TrainerProgram.Repository, "tests", "fixtures", "data", name), Path.Combine(home, name));
        foreach (var words in new[] { [.. Words("resume")[..^3], "--max-steps", "4"], Words("export --model M --adapter R --output a.gguf"),
            Words("export --model M --format gguf --output m.gguf") })
        {
            var made = TrainerProgram.Run(new ProgramRun(words) { Directory = home });
            Assert.True(made.ExitCode == 0, made.Error);
        }
    }

    // Where the faults so far are written while it goes on.
    private static string? Report => Environment.GetEnvironmentVariable("TRAINER_FAULT_REPORT");

    private const string Snapshot = "0123456789abcdef0123456789abcdef01234567";

    private static string[] Words(string command) => command == "resume"
        ? ["train", "--model", "model", "--data", "rows.jsonl", "--eval-data", "held.jsonl", "--save-steps", "2", "--eval-steps", "2", "--batch-size", "1",
            "--gradient-accumulation-steps", "1",
           "--max-seq-length", "64", "--threads", "1", "--logging-steps", "1", "--allow-high-loss", "--report-to", "none", "--output-dir", "run", "--max-steps",
           "5", "--resume"]
        : [.. command.Split(' ').Select(In)];

    private static string In(string word) => word.Split('/')[0] switch
    {
        "D" => "rows.jsonl",
        "R" => "run" + word[1..],
        "M" => "model" + word[1..],
        "S" => "parts" + word[1..],
        "H" => $"hub/hub/models--org--tiny/snapshots/{Snapshot}{word[1..]}",
        "O" or "O.gguf" => "out" + word[1..],
        _ => word,
    };
}
