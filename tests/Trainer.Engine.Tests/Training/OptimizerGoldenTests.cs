using System.Runtime.InteropServices;
using System.Text.Json;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Tests.Models;
using Trainer.Training;
using Trainer.Training.Optimizers;
using Trainer.Training.Steps;

namespace Trainer.Engine.Tests.Training;

/// <summary>Twelve steps of every optimizer equal those of torch, transformers, bitsandbytes and schedule_free on the same gradients.</summary>
public class OptimizerGoldenTests
{
    private static readonly string Folder = Path.Combine(Golden.Fixtures, "optimizers");

    // The gates are those of an fp32 port: rounding alone; torch's own Muon iterates in bfloat16.
    [Theory]
    [InlineData("adam", "adam", "", 2e-6)]
    [InlineData("adamw", "adamw", "", 2e-6)]
    [InlineData("adamw8bit", "adamw-8bit", "min_8bit_size=0", 2e-6)]
    [InlineData("sgd", "sgd", "", 2e-6)]
    [InlineData("sgd_momentum", "sgd", "momentum=0.9", 2e-6)]
    [InlineData("sgd_nesterov", "sgd", "momentum=0.9,nesterov=true", 2e-6)]
    [InlineData("adafactor_trainer", "adafactor", "", 2e-6)]
    [InlineData("adafactor_scale", "adafactor", "scale_parameter=true,clip_threshold=0.5", 2e-6)]
    [InlineData("adafactor_relative", "adafactor", "scale_parameter=true,relative_step=true", 2e-6)]
    [InlineData("adafactor_relative_warmup", "adafactor", "scale_parameter=true,relative_step=true,warmup_init=true", 2e-6)]
    [InlineData("lion", "lion", "", 2e-6)]
    [InlineData("muon_fp32", "muon", "", 1e-5)]
    [InlineData("muon", "muon", "", 2e-3)]
    [InlineData("muon_plain", "muon", "momentum=0.9,nesterov=false,adjust_lr_fn=spectral_unclamped", 2e-3)]
    [InlineData("schedulefree_adamw", "schedule-free-adamw", "warmup_steps=3", 2e-6)]
    [InlineData("schedulefree_sgd", "schedule-free-sgd", "warmup_steps=2", 2e-6)]
    [InlineData("adagrad", "adagrad", "", 2e-6)]
    [InlineData("rmsprop", "rmsprop", "alpha=0.95,momentum=0.5", 2e-6)]
    public void Twelve_steps_equal_the_reference(string name, string optimizer, string arguments, double gate)
    {
        using var file = SafetensorsFile.Open(Path.Combine(Folder, "units.safetensors"));
        using var cases = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder, "cases.json")));
        var one = cases.RootElement.GetProperty(name);
        var options = one.GetProperty("options");
        var indices = one.GetProperty("tensors").EnumerateArray().Select(index => index.GetInt32()).ToList();
        var tensors = new List<ParameterEntry>();
        foreach (var index in indices)
        {
            var entry = file.Entry($"p0.{index}");
            tensors.Add(new ParameterEntry($"t{index}", [.. entry.Shape], tensors.Count == 0 ? 0 : (tensors[^1].Offset + tensors[^1].Count + 15) / 16 * 16));
        }
        var values = new float[(tensors[^1].Offset + tensors[^1].Count + 15) / 16 * 16];
        var gradients = new float[values.Length];
        Fill(file, "p0.{0}", indices, tensors, values);
        var store = new HostParameters(tensors, () => values, () => gradients);
        var made = OptimizerTable.Make(store, Options(optimizer, arguments, options));
        for (var step = 0; step < 12; step++)
        {
            Fill(file, $"g.{step}.{{0}}", indices, tensors, gradients);
            var rate = one.GetProperty("lrs").ValueKind == JsonValueKind.Null ? Number(options, "lr") ?? 0 : one.GetProperty("lrs")[step].GetDouble();
            store.Step(made, new OptimizerStep(step + 1, rate, 1));
            if (step is 5 or 11) AssertNear(file, $"{name}.p.{step}.{{0}}", indices, tensors, values, gate);
        }
        var averages = new float[values.Length];
        made.Average(values, averages);
        if (made.HasAverages) AssertNear(file, $"{name}.x.11.{{0}}", indices, tensors, averages, gate);
        else Assert.DoesNotContain("schedule", optimizer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("map.signed", true)]
    [InlineData("map.unsigned", false)]
    public void The_codes_of_8_bit_states_are_those_of_bitsandbytes(string name, bool isSigned)
    {
        using var file = SafetensorsFile.Open(Path.Combine(Folder, "units.safetensors"));
        Assert.Equal(MemoryMarshal.Cast<byte, float>(file.Bytes(file.Entry(name))).ToArray(), (isSigned ? DynamicMap.Signed : DynamicMap.Unsigned).Values);
    }

    [Theory]
    [InlineData("adamw", "momentum=0.9", "it takes none")]
    [InlineData("sgd", "momentun=0.9", "it takes momentum, dampening, nesterov")]
    [InlineData("sgd", "momentum=much", "it must be a number")]
    [InlineData("sgd", "nesterov=true", "nesterov needs a momentum")]
    [InlineData("schedule-free-sgd", "momentum=0", "it must be above 0")]
    [InlineData("muon", "adjust_lr_fn=none", "use one of original, match_rms_adamw, spectral_unclamped")]
    [InlineData("adafactor", "warmup_init=true", "needs relative_step")]
    public void An_argument_that_the_optimizer_does_not_read_is_refused(string optimizer, string arguments, string what) =>
        Assert.Contains(what, Assert.Throws<OptionException>(() => OptimizerTable.Check(Options(optimizer, arguments, default))).Message,
        StringComparison.Ordinal);

    private static TrainingOptions Options(string optimizer, string arguments, JsonElement golden) => new()
    {
        Model = "",
        ModelDirectory = "",
        Data = new Trainer.Data.DataOptions(),
        OutputDirectory = "",
        Optim = optimizer,
        OptimArgs = arguments.Split(',', StringSplitOptions.RemoveEmptyEntries).ToDictionary(part => part.Split('=')[0], part => part.Split('=')[1]),
        WeightDecay = Number(golden, "weight_decay") ?? 0,
        AdamBeta1 = golden.ValueKind == JsonValueKind.Object && golden.TryGetProperty("betas", out var betas) ? betas[0].GetDouble() : 0.9,
        AdamBeta2 = golden.ValueKind == JsonValueKind.Object && golden.TryGetProperty("betas", out betas) ? betas[1].GetDouble() : 0.999,
    };

    private static double? Number(JsonElement options, string name) =>
        options.ValueKind == JsonValueKind.Object && options.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number
        ? value.GetDouble() : null;

    private static void Fill(SafetensorsFile file, string name, List<int> indices, List<ParameterEntry> tensors, float[] target)
    {
        for (var i = 0; i < indices.Count; i++)
            MemoryMarshal.Cast<byte, float>(file.Bytes(file.Entry(name.Replace("{0}", $"{indices[i]}", StringComparison.Ordinal))))
                .CopyTo(target.AsSpan((int)tensors[i].Offset));
    }

    private static void AssertNear(SafetensorsFile file, string name, List<int> indices, List<ParameterEntry> tensors, float[] values, double gate)
    {
        var expected = new float[values.Length];
        Fill(file, name, indices, tensors, expected);
        Assert.True(Golden.LargestDifference(expected, values) < gate, $"{name}: {Golden.LargestDifference(expected, values)}");
    }
}
