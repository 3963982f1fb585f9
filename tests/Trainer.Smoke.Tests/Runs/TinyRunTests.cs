using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using System.Text.Json;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>The main job, end to end, through the built program.</summary>
[Trait("ring", "smoke")]
public sealed class TinyRunTests(TinyRun run) : IClassFixture<TinyRun>
{
    private List<JsonElement> Rows => [.. File.ReadLines(Path.Combine(run.Folder, "metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)];

    [Fact]
    public void The_loss_falls_and_the_held_out_loss_improves()
    {
        var losses = Rows.Where(row => row.TryGetProperty("loss", out _)).Select(row => row.GetProperty("loss").GetDouble()).ToList();
        Assert.Equal(40, losses.Count);
        Assert.True(losses.TakeLast(5).Average() < 0.7 * losses.Take(5).Average(), string.Join(' ', losses));
        Assert.True(run.Result.GetProperty("eval_loss").GetDouble() < 0.8 * run.Result.GetProperty("first_eval_loss").GetDouble());
    }

    [Fact]
    public void Each_step_is_one_plain_line_without_a_terminal()
    {
        Assert.Equal(40, run.Log.Split('\n').Count(line => line.StartsWith("step ", StringComparison.Ordinal)));
        Assert.Contains("step 12/40 loss ", run.Log, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', run.Log);
        Assert.StartsWith("data: 265 rows, ", run.Log, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("adapter_config.json")]
    [InlineData("adapter_model.safetensors")]
    [InlineData("tokenizer.json")]
    [InlineData("recipe.yaml")]
    [InlineData("run.json")]
    [InlineData("metrics.jsonl")]
    [InlineData("trainer_state.json")]
    [InlineData("trainer.log")]
    [InlineData("report.html")]
    [InlineData("checkpoint-20/manifest.json")]
    public void The_run_folder_holds(string name) => Assert.True(new FileInfo(Path.Combine(run.Folder, name)).Length > 0);

    [Fact]
    public void The_record_of_the_run_knows_its_recipe_and_the_lengths_of_its_rows()
    {
        var record = JsonDocument.Parse(File.ReadAllText(Path.Combine(run.Folder, "run.json"))).RootElement;
        var recipe = System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(Path.Combine(run.Folder, "recipe.yaml")));
        Assert.Equal(Convert.ToHexStringLower(recipe), record.GetProperty("recipe_sha256").GetString());
        Assert.Equal(265, record.GetProperty("data").GetProperty("lengths").EnumerateArray().Sum(bucket => bucket.GetProperty("rows").GetInt32()));
    }

    [Fact]
    public void The_report_needs_no_network_and_holds_the_samples()
    {
        var page = File.ReadAllText(Path.Combine(run.Folder, "report.html"));
        Assert.DoesNotContain("http-equiv=\"refresh\"", page, StringComparison.Ordinal);
        Assert.DoesNotContain("src=\"http", page, StringComparison.Ordinal);
        Assert.Contains("Where is the key?", page, StringComparison.Ordinal);
        Assert.Contains("\"lengths\":[[", page, StringComparison.Ordinal);
    }

    [Fact]
    public void TensorBoard_events_are_whole_frames_with_the_tags_of_transformers()
    {
        var bytes = File.ReadAllBytes(Assert.Single(Directory.EnumerateFiles(Path.Combine(run.Folder, "runs"), "events.out.tfevents.*")));
        var (at, frames, text) = (0, 0, new StringBuilder());
        while (at < bytes.Length)
        {
            var length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at));
            Assert.Equal(Masked(bytes.AsSpan(at, 8)), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 8)));
            Assert.Equal(Masked(bytes.AsSpan(at + 12, length)), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 12 + length)));
            text.Append(Encoding.Latin1.GetString(bytes, at + 12, length));
            at += length + 16;
            frames++;
        }
        Assert.Equal(bytes.Length, at);
        Assert.True(frames > 40);
        foreach (var tag in new[] { "brain.Event:2", "train/loss", "train/learning_rate", "train/grad_norm", "train/epoch", "eval/loss" })
            Assert.Contains(tag, text.ToString(), StringComparison.Ordinal);
    }

    /// <summary>CRC-32C bit by bit, apart from the program's own.</summary>
    private static uint Masked(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        foreach (var value in data)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78u : crc >> 1;
        }
        return BitOperations.RotateRight(~crc, 15) + 0xa282ead8u;
    }

    [Fact]
    public void The_adapter_lowers_the_loss_that_eval_measures_and_rows_add_up_to_it()
    {
        var without = TrainerProgram.RunWarm("eval", "--model", "tiny", "--data", "demo", "--json").Json();
        var with = TrainerProgram.RunWarm("eval", "--model", "tiny", "--data", "demo", "--adapter", run.Folder, "--quantize", "nf4", "--per-token", "--json")
            .Json();
        Assert.True(with.GetProperty("loss").GetDouble() < 0.8 * without.GetProperty("loss").GetDouble());
        Assert.Equal(Math.Exp(with.GetProperty("loss").GetDouble()), with.GetProperty("perplexity").GetDouble(), 6);
        var rows = with.GetProperty("rows").EnumerateArray().ToList();
        Assert.Equal(with.GetProperty("trained_tokens").GetInt64(), rows.Sum(row => row.GetProperty("trained_tokens").GetInt64()));
        var sum = rows.SelectMany(row => row.GetProperty("token_losses").EnumerateArray()).Where(loss => loss.ValueKind == JsonValueKind.Number)
            .Sum(loss => loss.GetDouble());
        Assert.Equal(with.GetProperty("loss").GetDouble(), sum / with.GetProperty("trained_tokens").GetInt64(), 5);
    }

    [Fact]
    public void Generation_is_the_same_each_time_and_differs_with_the_adapter()
    {
        string[] words = ["generate", "--model", "tiny", "--adapter", run.Folder, "--quantize", "nf4", "--prompt", "Where is the key?", "--max-tokens", "24",
            "--compare", "--json"];
        var (first, second) = (TrainerProgram.RunWarm(words).Json(), TrainerProgram.Run(words).Json());
        Assert.Equal(first.GetProperty("text").GetString(), second.GetProperty("text").GetString());
        Assert.NotEqual(first.GetProperty("text").GetString(), first.GetProperty("base_text").GetString());
    }

    [Fact]
    public void A_merge_that_drifts_more_than_allowed_leaves_no_folder()
    {
        using var folder = new TemporaryFolder();
        var merged = Path.Combine(folder.Path, "merged");
        var refused = TrainerProgram.RunWarm("merge", "--model", "tiny", "--adapter", run.Folder, "--output", merged, "--max-drift", "0");
        Assert.Equal(65, refused.ExitCode);
        Assert.Contains("--max-drift allows", refused.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(merged));
    }

    [Fact]
    public void A_folder_of_weights_without_a_tokenizer_is_merged_and_measured()
    {
        using var folder = new TemporaryFolder();
        var weights = Path.Combine(folder.Path, "weights");
        Assert.Equal(0, TrainerProgram.RunWarm("merge", "--model", "tiny", "--adapter", run.Folder, "--output", weights).ExitCode);
        foreach (var file in Directory.GetFiles(weights, "*token*").Append(Path.Combine(weights, "chat_template.jinja"))) File.Delete(file);
        var drift = TrainerProgram.RunWarm("merge", "--model", weights, "--adapter", run.Folder, "--output", Path.Combine(folder.Path, "again"),
            "--json").Json();
        Assert.True(drift.GetProperty("largest_drift").GetDouble() < 0.2);
    }

    [Fact]
    public void Merge_and_exports_write_what_they_say()
    {
        using var folder = new TemporaryFolder();
        var merged = Path.Combine(folder.Path, "merged");
        var drift = TrainerProgram.RunWarm("merge", "--model", "tiny", "--adapter", run.Folder, "--quantize", "nf4", "--output", merged, "--json").Json();
        Assert.True(drift.GetProperty("largest_drift").GetDouble() < 0.2);
        Assert.Equal("model", TrainerProgram.RunWarm("inspect", merged, "--json").Json().GetProperty("kind").GetString());
        Assert.Equal(0, TrainerProgram.RunWarm("export", "--model", "tiny", "--adapter", run.Folder, "--output", Path.Combine(folder.Path, "a.gguf")).ExitCode);
        Assert.Equal("GGUF", Encoding.ASCII.GetString(File.ReadAllBytes(Path.Combine(folder.Path, "a.gguf")), 0, 4));
    }

    [Fact]
    public void A_conversation_goes_on_and_is_saved_as_a_training_row()
    {
        using var folder = new TemporaryFolder();
        var file = Path.Combine(folder.Path, "talk.jsonl");
        var result = TrainerProgram.RunWarm(new ProgramRun("chat", "--model", "tiny", "--adapter", run.Folder, "--max-tokens",
            "16") { Input = $"Where is the key?\n/adapter off\nAnd now?\n/save {file}\n/exit\n" });
        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Equal(4, JsonDocument.Parse(File.ReadAllText(file)).RootElement.GetProperty("messages").GetArrayLength());
    }

    [Fact]
    public void A_conversation_outlives_what_goes_wrong_in_it()
    {
        using var folder = new TemporaryFolder();
        var file = Path.Combine(folder.Path, "talk.jsonl");
        // An adapter that breaks off half-way must leave nothing of itself behind.
        var broken = Path.Combine(folder.Path, "broken");
        Directory.CreateDirectory(broken);
        File.Copy(Path.Combine(run.Folder, "adapter_config.json"), Path.Combine(broken, "adapter_config.json"));
        File.WriteAllText(Path.Combine(broken, "adapter_model.safetensors"), "x");
        var tooLong = string.Join(' ', Enumerable.Repeat("word", 400));
        var result = TrainerProgram.RunWarm(new ProgramRun("chat", "--model", "tiny", "--adapter", run.Folder, "--max-tokens", "12", "--verbose")
        {
            Input = $"Where is the key?\n/reset\n/adapter {broken}\n{tooLong}\nWhere is the key?\n/save {file}\n/adapter off\n/reset\nWhere is the key?\n",
        });
        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Contains("tokens/s", result.Error, StringComparison.Ordinal);
        Assert.Contains("shorten it; this turn is not kept", result.Error, StringComparison.Ordinal);
        Assert.Contains("error: ", result.Error, StringComparison.Ordinal);
        var answers = result.Output.TrimEnd('\n').Split('\n');
        Assert.Equal(3, answers.Length);
        Assert.Equal(answers[0], answers[1]);
        Assert.NotEqual(answers[0], answers[2]);
        Assert.Equal(2, JsonDocument.Parse(File.ReadAllText(file)).RootElement.GetProperty("messages").GetArrayLength());
    }

    [Fact]
    public void Report_draws_a_page_and_a_picture_of_two_runs()
    {
        using var folder = new TemporaryFolder();
        var (page, picture) = (Path.Combine(folder.Path, "c.html"), Path.Combine(folder.Path, "c.png"));
        var result = TrainerProgram.RunWarm("report", run.Folder, run.Folder, "--output", page, "--png", picture, "--json").Json();
        Assert.Equal(2, result.GetProperty("runs").GetArrayLength());
        // Drawn after the fact, the page still knows what the run knew.
        Assert.Matches("\"lengths\":\\[\\[\\d+,\\d+", File.ReadAllText(page));
        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], File.ReadAllBytes(picture)[..4]);
    }

    [Fact]
    public void A_folder_that_holds_a_run_is_not_taken_by_another()
    {
        var before = File.ReadAllBytes(Path.Combine(run.Folder, "adapter_model.safetensors"));
        var fault = Assert.Single(TrainerProgram.RunWarm("train", "--model", "tiny", "--data", "demo", "--max-steps", "1", "--output-dir",
            run.Folder).Faults(2));
        Assert.Contains("--resume", fault, StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllBytes(Path.Combine(run.Folder, "adapter_model.safetensors")));
    }
}
