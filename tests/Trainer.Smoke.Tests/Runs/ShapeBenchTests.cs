using System.Diagnostics;

namespace Trainer.Smoke.Tests.Runs;

[Trait("ring", "smoke")]
public sealed class ShapeBenchTests
{
    [Fact]
    public void A_shape_is_measured_with_random_weights_beside_the_machines_ceilings()
    {
        var result = TrainerProgram.RunWarm("bench", "--shape", "tiny", "--seq", "48", "--layers", "3", "--steps", "2", "--json").Json();

        Assert.Equal(3, result.GetProperty("layers").GetInt32());
        Assert.Equal(48, result.GetProperty("sequence").GetInt32());
        Assert.Equal(2, result.GetProperty("step_seconds").GetArrayLength());
        Assert.True(result.GetProperty("copy_bytes_per_second").GetDouble() > 1e8);
        Assert.True(result.GetProperty("ceiling_flops_per_second").GetDouble() > 1e8);
        Assert.Equal(["products", "adapters", "attention", "elementwise", "loss", "optimizer", "other"],
            result.GetProperty("seconds_by_part").EnumerateObject().Select(part => part.Name));
    }

    [Fact]
    public void Simulated_cores_are_told_by_part_and_scaled_to_all_layers()
    {
        using var folder = new TemporaryFolder();
        folder.File("config.json",
            """{"model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 1500, "rms_norm_eps": 1e-5}""");
        string[] line = ["bench", "--shape", folder.Path, "--seq", "100", "--steps", "1", "--simulate-cores", "8", "--lora-dropout", "0.1"];
        var result = TrainerProgram.RunWarm([.. line, "--json"]).Json();

        // The first layer, one more, and a chunk of the head.
        Assert.Equal((6, 2, 8), (result.GetProperty("layers").GetInt32(), result.GetProperty("measured_layers").GetInt32(),
            result.GetProperty("simulated_cores").GetInt32()));
        Assert.Equal(0.1, result.GetProperty("dropout").GetDouble());
        Assert.True(result.GetProperty("chunks").GetInt64() > result.GetProperty("loops").GetInt64());
        var step = result.GetProperty("step");
        Assert.True(step.GetProperty("speed_up").GetDouble() > 0);
        var parts = result.GetProperty("parts").EnumerateObject().ToList();
        Assert.Equal(["products", "adapters", "attention", "elementwise", "loss", "optimizer", "other"], parts.Select(part => part.Name));
        Assert.Equal(step.GetProperty("seconds_on_one_core").GetDouble(),
            parts.Sum(part => part.Value.GetProperty("seconds_on_one_core").GetDouble()), 1e-9);
        foreach (var (name, part) in parts.Select(part => (part.Name, part.Value)))
            Assert.True(part.GetProperty("seconds_in_no_loop").GetDouble() <= part.GetProperty("seconds_on_all").GetDouble(), name);
        var told = TrainerProgram.RunWarm(line).Output;
        Assert.Contains("2 of 6 layers computed and a chunk of the head, the others counted like them", told);
        Assert.Contains("Not modelled: memory", told);
    }

    [Fact]
    public void Steps_beside_busy_loops_are_set_against_those_alone()
    {
        var result = TrainerProgram.RunWarm("bench", "--shape", "tiny", "--seq", "32", "--layers", "1", "--steps", "2", "--beside", "1", "--json").Json();

        Assert.Equal(2, result.GetProperty("step_seconds_beside").GetArrayLength());
        Assert.True(result.GetProperty("times_as_long_beside").GetDouble() > 0);
        double peak = result.GetProperty("multiply_add_peak_per_second").GetDouble(), executed = result.GetProperty("executed_flops_per_second").GetDouble();
        Assert.True(executed > 0);
        Assert.Equal(peak == 0 ? 0 : executed / peak, result.GetProperty("executed_share_of_peak").GetDouble(), 1e-9);
    }

    [Fact]
    public void The_sizes_of_a_configuration_are_a_shape()
    {
        using var folder = new TemporaryFolder();
        folder.File("config.json",
            """{"model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 300, "rms_norm_eps": 1e-5}""");

        var result = TrainerProgram.RunWarm("bench", "--shape", folder.Path, "--seq", "8", "--steps", "1");

        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Contains("multiply-add peak", result.Output);
        Assert.Contains("tensors without gradient 0", result.Output);
    }

    [Fact]
    public void The_script_that_runs_PEFT_beside_says_what_it_lacks()
    {
        if (OperatingSystem.IsWindows()) return;
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Trainer.sln"))) folder = folder.Parent!;
        var start = new ProcessStartInfo("/bin/bash", [Path.Combine(folder.FullName, "scripts", "peft-beside.sh")])
            { RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment["PATH"] = folder.FullName;
        using var script = Process.Start(start)!;
        var error = script.StandardError.ReadToEnd();
        script.End();
        Assert.Equal(69, script.ExitCode);
        Assert.StartsWith("error: no comparison (python3): it is not in the path; install Python", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--data", "bench", "--shape", "tiny", "--data", "demo")]
    [InlineData("--seq", "bench", "--seq", "5")]
    [InlineData("--simulate-cores", "bench", "--simulate-cores", "8")]
    [InlineData("--threads", "bench", "--shape", "tiny", "--simulate-cores", "8", "--threads", "2")]
    [InlineData("'huge'", "bench", "--shape", "huge")]
    public void What_does_not_go_together_is_refused(string named, params string[] line)
    => Assert.Contains(named, Assert.Single(TrainerProgram.RunWarm(line).Faults(2)));
}
