using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Xunit.Abstractions;

namespace Trainer.Smoke.Tests.Faults;

/// <summary>
/// Files of ours and of others, damaged at random, through the commands that read them: a documented exit code, never our own fault, no stack, no hang,
/// nothing that controls a terminal. TRAINER_FAULT_FILES and TRAINER_FAULT_SEED make it longer and other (scripts/fault-campaign.sh).
/// </summary>
[Trait("ring", "smoke")]
public sealed class BadFileCampaign : IDisposable
{
    private const int LimitSeconds = 60;
    private static readonly int[] Documented = [0, 2, 3, 4, 65, 69, 73, 75];
    private static readonly string[] Odd = ["null", "[]", "{}", "\"x\"", "-1", "1e999", "9223372036854775808", "1.5", "true", "[\"a\",null]", "\"\\u001b[2J\"", "{\"a\":{\"b\":1}}"];

    // Each file with the commands that read it; R stands for the run folder, M for the model, D for the rows.
    private static readonly (string File, string[] Commands)[] Kinds =
    [
        ("R/metrics.jsonl", ["report R", "inspect R", "resume"]),
        ("R/run.json", ["reproduce R --output-dir O", "report R", "resume"]),
        ("R/recipe.yaml", ["train --config R/recipe.yaml --dry-run", "report R"]),
        ("R/trainer_state.json", ["inspect R"]),
        ("R/checkpoint-4/manifest.json", ["inspect R/checkpoint-4", "resume"]),
        ("R/adapter_config.json", ["eval --model M --data D --adapter R", "inspect R", "export --model M --adapter R --output O.gguf"]),
        ("R/adapter_model.safetensors", ["eval --model M --data D --adapter R", "merge --model M --adapter R --output O --no-check"]),
        ("M/model.safetensors", ["inspect M/model.safetensors", "eval --model M --data D"]),
        ("M/config.json", ["inspect M", "plan --model M --no-measure", "quantize --model M --output O"]),
        ("M/tokenizer.json", ["tokenize --model M hello", "data show --model M D"]),
        ("M/tokenizer_config.json", ["data show --model M D", "generate --model M --prompt hi -n 2"]),
        ("D", ["data check --model M D", "inspect D", "data show --model M D"]),
        ("a.gguf", ["inspect a.gguf"]),
    ];

    private readonly TemporaryFolder _folder = new();
    private readonly ITestOutputHelper _output;

    public BadFileCampaign(ITestOutputHelper output) => _output = output;

    public void Dispose() => _folder.Dispose();

    [Fact]
    [Trait("ring", "slow")]
    public void A_damaged_file_ends_with_a_documented_exit_code_and_a_sentence()
    {
        var (count, seed) = (Number("TRAINER_FAULT_FILES", 60), Number("TRAINER_FAULT_SEED", 1));
        Prepare();
        var faults = new List<string>();
        for (var number = 0; number < count; number++)
        {
            var random = new Random(HashCode.Combine(seed, number) & int.MaxValue);
            var (file, commands) = Kinds[random.Next(Kinds.Length)];
            var work = Path.Combine(_folder.Path, "work");
            if (Directory.Exists(work)) Directory.Delete(work, recursive: true);
            Copy(Path.Combine(_folder.Path, "base"), work);
            var path = Path.Combine(work, In(file));
            File.WriteAllBytes(path, Damaged(File.ReadAllBytes(path), path, random));
            var words = Words(commands[random.Next(commands.Length)]);
            var result = TrainerProgram.Run(new ProgramRun(words) { Directory = work, LimitSeconds = LimitSeconds });
            var said = result.Output + result.Error;
            if (!Documented.Contains(result.ExitCode) || said.Contains("   at Trainer.", StringComparison.Ordinal) || said.Any(letter => char.IsControl(letter) && letter is not ('\n' or '\t')))
                faults.Add($"seed {seed}, file {number}: {file} through {string.Join(' ', words)}: exit code {result.ExitCode}\n{result.Error}");
        }
        _output.WriteLine($"files {count}, faults {faults.Count}");
        Assert.True(faults.Count == 0, string.Join("\n---\n", faults.Take(5)));
    }

    private void Prepare()
    {
        var home = Path.Combine(_folder.Path, "base");
        Copy(Path.Combine(Path.GetDirectoryName(TrainerProgram.FilePath)!, "configs", "tiny-model"), Path.Combine(home, "model"));
        _folder.File("base/rows.jsonl", string.Concat(Enumerable.Range(0, 6).Select(row => $"{{\"text\": \"The harbour {row} is calm.\"}}\n")));
        Assert.Equal(0, TrainerProgram.Run(new ProgramRun([.. Words("resume")[..^3], "--max-steps", "4"]) { Directory = home }).ExitCode);
        Assert.Equal(0, TrainerProgram.Run(new ProgramRun(Words("export --model M --adapter R --output a.gguf")) { Directory = home }).ExitCode);
    }

    private static string[] Words(string command) => command == "resume"
        ? ["train", "--model", "model", "--data", "rows.jsonl", "--eval-data", "rows.jsonl", "--save-steps", "2", "--eval-steps", "2", "--batch-size", "1", "--gradient-accumulation-steps", "1",
           "--max-seq-length", "64", "--threads", "1", "--logging-steps", "1", "--allow-high-loss", "--report-to", "none", "--output-dir", "run", "--max-steps", "5", "--resume"]
        : [.. command.Split(' ').Select(In)];

    private static string In(string word) => word switch
    {
        "D" => "rows.jsonl",
        _ when word == "R" || word.StartsWith("R/", StringComparison.Ordinal) => "run" + word[1..],
        _ when word == "M" || word.StartsWith("M/", StringComparison.Ordinal) => "model" + word[1..],
        _ when word is "O" or "O.gguf" => "out" + word[1..],
        _ => word,
    };

    private static byte[] Damaged(byte[] bytes, string path, Random random)
    {
        var isTensors = path.EndsWith(".safetensors", StringComparison.Ordinal);
        if (isTensors && random.Next(5) == 0) return [.. BitConverter.GetBytes(random.Next(2) == 0 ? ulong.MaxValue : 1UL << random.Next(40)), .. bytes[8..]];
        if (isTensors)
        {
            var header = (int)BitConverter.ToInt64(bytes);
            var other = Encoding.UTF8.GetBytes(OtherJson(Encoding.UTF8.GetString(bytes, 8, header), random));
            return [.. BitConverter.GetBytes((long)other.Length), .. other, .. bytes[(8 + header)..]];
        }
        if (path.EndsWith(".jsonl", StringComparison.Ordinal) && random.Next(2) == 0)
        {
            var lines = Encoding.UTF8.GetString(bytes).Split('\n');
            lines[random.Next(lines.Length)] = Odd[random.Next(Odd.Length)];
            return Encoding.UTF8.GetBytes(string.Join('\n', lines));
        }
        if (path.EndsWith(".json", StringComparison.Ordinal) && random.Next(4) > 0) return Encoding.UTF8.GetBytes(OtherJson(Encoding.UTF8.GetString(bytes), random));
        return OtherBytes(bytes, random);
    }

    /// <summary>A value of the first two levels replaced, taken out or said twice.</summary>
    private static string OtherJson(string text, Random random)
    {
        var root = JsonNode.Parse(text)!.AsObject();
        var owner = root;
        var key = root.ElementAt(random.Next(root.Count)).Key;
        if (root[key] is JsonObject { Count: > 0 } inner && random.Next(3) > 0) (owner, key) = (inner, inner.ElementAt(random.Next(inner.Count)).Key);
        if (random.Next(8) == 0)
        {
            owner.Remove(key);
            return root.ToJsonString();
        }
        owner[key] = "@@@";
        var changed = root.ToJsonString().Replace("\"@@@\"", Odd[random.Next(Odd.Length)], StringComparison.Ordinal);
        return random.Next(8) == 0 ? $"{{{JsonSerializer.Serialize(key)}:1,{changed[1..]}" : changed;
    }

    private static byte[] OtherBytes(byte[] bytes, Random random)
    {
        var at = random.Next(bytes.Length);
        switch (random.Next(5))
        {
            case 0:
                return bytes[..at];
            case 1:
                for (var i = 0; i < 12; i++) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                return bytes;
            case 2:
                return [.. bytes[..at], .. Enumerable.Repeat((byte)'[', 5000), .. bytes[at..]];
            case 3:
                return [];
            default:
                return [.. bytes[..at], .. bytes[Math.Min(bytes.Length, at + 100)..]];
        }
    }

    private static void Copy(string from, string to)
    {
        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
    }

    private static int Number(string name, int otherwise) => int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : otherwise;
}
