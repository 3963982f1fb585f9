using System.Text.Json;
using TorchSharp;
using Trainer.Adapters;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Models.Families;
using Trainer.Models.Lora;
using Trainer.Numerics.Nf4;
using Trainer.Training;

namespace Trainer.Engine.Tests.Training;

/// <summary>Beginnings of adapters that look at the base's weights or at the rows: LoftQ, EVA, and PiSSA folders as PEFT keeps them.</summary>
[Trait("ring", "model")]
public class AdapterStartTests
{
    private static readonly string[] AllLinears = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    [Theory]
    [InlineData(1.0)]
    [InlineData(2.0)]
    public void What_nf4_lost_is_made_up_for_as_the_reference_does_at_any_scale(double scale)
    {
        using var golden = SafetensorsFile.Open(Path.Combine(Golden.Fixtures, "init", "loftq.safetensors"));
        for (var i = 0; i < 4; i++)
        {
            var (weight, shape) = (Golden.Floats(golden, $"W.{i}"), golden.Entry($"W.{i}").Shape);
            var (packed, absmax, quantized) = (new byte[weight.Length / 2], new float[weight.Length / 64], new float[weight.Length]);
            Nf4Quantizer.Quantize(weight, packed, absmax);
            Nf4Dequantizer.ToFloat(packed, absmax, quantized);
            Assert.True(Golden.LargestDifference(quantized, Golden.Floats(golden, $"loftq_iter1_r4.base.{i}")) < 1e-7);
            var (a, b) = AdapterStart.Lost(weight, quantized, shape, 4, scale);
            using var product = torch.tensor(b, [shape[0], 4]).mm(torch.tensor(a, [4, shape[1]])) * scale;
            Assert.True(Golden.LargestDifference(product.data<float>().ToArray(), Golden.Floats(golden, $"loftq_iter1_r4.BA.{i}")) < 1e-5);
        }
    }

    [Fact]
    public void A_quantized_base_with_loftq_is_nearer_to_what_it_was()
    {
        using var plain = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions());
        using var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Quantize = QuantizeKind.Nf4 });
        var batch = TokenBatch.OfRows([([1, 5, 9, 14, 3, 2], [1, 5, 9, 14, 3, 2])]);
        double Distance() => Golden.LargestDifference(model.TokenLosses(batch), plain.TokenLosses(batch));
        AdapterInjector.Inject(model, new LoraSpec { Rank = 16, Alpha = 32, Init = AdapterInit.Kaiming }, 1);
        var before = Distance();
        AdapterInjector.Inject(model, new LoraSpec { Rank = 16, Alpha = 32, Init = AdapterInit.Loftq }, 1);
        Assert.InRange(Distance(), 0, 0.8 * before);
        Assert.Contains("nothing is quantized",
            Assert.Throws<AdapterOptionException>(() => AdapterInjector.Inject(plain, new LoraSpec { Init = AdapterInit.Loftq }, 1)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Starts_that_need_no_plain_weights_leave_the_folder_alone()
    {
        var folder = Directory.CreateTempSubdirectory("plain-weights-").FullName;
        try
        {
            foreach (var file in Directory.EnumerateFiles(Golden.Folder("llama31"))) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
            using var model = CausalModel.Load(folder, new ModelLoadOptions { Quantize = QuantizeKind.Nf4 });
            File.Delete(Path.Combine(folder, "config.json"));
            AdapterInjector.Inject(model, new LoraSpec { Rank = 4, Init = AdapterInit.Kaiming }, 1);
            Assert.Throws<ModelException>(() => AdapterInjector.Inject(model, new LoraSpec { Rank = 4, Init = AdapterInit.Loftq }, 1));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Directions_and_ranks_of_inputs_are_those_of_the_reference()
    {
        using var golden = SafetensorsFile.Open(Path.Combine(Golden.Fixtures, "init", "eva.safetensors"));
        var directions = new[] { ("a", "x"), ("b", "x"), ("c", "y"), ("d", "z") }.ToDictionary(pair => pair.Item1, pair => Directions(golden, pair.Item2, 64));
        (string, int)[] asked = [("a", 4), ("b", 4), ("c", 4), ("d", 4)];
        var ranks = EvaRanks.Spread(asked, layer => directions[layer].Shares(int.MaxValue), 2);
        Assert.Equal([4, 4, 5, 3], asked.Select(layer => ranks[layer.Item1]));
        Assert.Equal([4, 4, 4, 4], EvaRanks.Spread(asked, layer => directions[layer].Shares(int.MaxValue), 1).Values);
        foreach (var (layer, rank) in ranks)
        {
            using var theirs = torch.tensor(Golden.Floats(golden, $"eva_r4_rho2.A.{layer}"), golden.Entry($"eva_r4_rho2.A.{layer}").Shape).to(torch.float64);
            // They stop where a direction turns by less than a cosine of 0.99.
            Assert.True((directions[layer].Directions(rank) * theirs).sum(1).abs().min().item<double>() > 0.97, layer);
        }
    }

    [Fact]
    public void Directions_of_rows_that_come_in_parts_are_those_of_all_rows_at_once()
    {
        using var golden = SafetensorsFile.Open(Path.Combine(Golden.Fixtures, "init", "eva.safetensors"));
        using var rows = torch.tensor(Golden.Floats(golden, "y"), [512, 32]).to(torch.float64);
        var (_, s, v) = torch.linalg.svd(rows - rows.mean([0]), fullMatrices: false);
        // With every direction kept, and with a fraction of them.
        foreach (var (kept, gate) in new[] { (32, 1e-9), (12, 1e-2) })
        {
            using var found = Directions(golden, "y", kept);
            Assert.True((1 - (found.Directions(4) * v.narrow(0, 0, 4)).sum(1).abs()).max().item<double>() < gate);
            var expected = (s.square() / s.square().sum()).data<double>().ToArray();
            Assert.All(found.Shares(4).Zip(expected), pair => Assert.Equal(pair.Second, pair.First, gate));
        }
    }

    [Fact]
    public void The_plan_of_spread_ranks_is_the_most_they_can_take()
    {
        var decoder = Trainer.Models.Drawing.DecoderBlueprint.Of(ConfigLoader.Load(Golden.Folder("llama31")));
        var spec = new LoraSpec { Rank = 4, Alpha = 8, Init = AdapterInit.Eva };
        long Size(LoraSpec shape) => Trainer.Models.Drawing.AdapterBlueprint.Fresh(decoder, shape).ParameterCount;
        var largest = Size(EvaRanks.Largest(decoder, spec, 2));
        var paths = EvaRanks.Updates(decoder, spec).Select(module => module.Module.Path).ToList();
        foreach (var first in paths)
        {
            // Ranks that begin at any layer, all of them twice what was asked.
            var ranks = paths.ToDictionary(path => path,
                path => (paths.IndexOf(path) - paths.IndexOf(first) + paths.Count) % paths.Count < paths.Count / 2 ? 8 : 0);
            Assert.InRange(Size(EvaRanks.Shape(decoder, spec, ranks)), 1, largest);
        }
        Assert.Equal(Size(spec), Size(EvaRanks.Largest(decoder, spec, 1)));
    }

    [Fact]
    public void An_eva_run_keeps_the_scale_of_each_layer_and_goes_on_with_its_ranks()
    {
        using var whole = Fresh(AdapterInit.Eva);
        var expected = whole.Run().AdapterSha256;
        var spec = PeftFolder.ReadSpec(whole.Options.OutputDirectory).Spec;
        Assert.NotEmpty(spec.RankPattern);
        Assert.All(spec.RankPattern, pair => Assert.Equal(2.0 * pair.Value, spec.AlphaPattern.Single(other => other.Key == pair.Key).Value));
        using var run = Fresh(AdapterInit.Eva);
        using var source = new CancellationTokenSource();
        run.OnEvent = record =>
        {
            if (record is StepDone { Step: 2 }) source.Cancel();
        };
        Assert.Throws<RunInterruptedException>(() => run.Run(source.Token));
        run.OnEvent = null;
        Assert.Contains(run.Seen, AsksRows);
        run.Seen.Clear();
        run.Options = run.Options with { Resume = "auto" };
        Assert.Equal(expected, run.Run().AdapterSha256);
        Assert.DoesNotContain(run.Seen, AsksRows);

        static bool AsksRows(TrainingEvent record) => record is Noted { Text: var text } && text.StartsWith("eva found", StringComparison.Ordinal);
    }

    [Fact]
    public void A_raw_pissa_folder_goes_on_as_in_the_reference()
    {
        using var run = Fresh(AdapterInit.Kaiming);
        run.Options = run.Options with { MaxSteps = 10, AdapterDirectory = Path.Combine(Golden.Fixtures, "init", "pissa_raw"), Lora = new LoraOptions() };
        run.Run();
        double[] losses = [6.387203693389893, 6.376978397369385, 6.574121475219727, 6.603907108306885, 6.719961643218994, 6.512711048126221, 6.642228603363037,
            6.731770038604736, 6.3299455642700195, 6.602573394775391];
        Assert.All(losses.Zip(run.Metrics), pair => Assert.Equal(pair.First, pair.Second.GetProperty("loss").GetDouble(), Golden.TrajectoryGate));
        // It is saved for the original base.
        Assert.Equal((8, 16.0), (PeftFolder.ReadSpec(run.Options.OutputDirectory).Spec.Rank, PeftFolder.ReadSpec(run.Options.OutputDirectory).Spec.Alpha));
        run.Options = run.Options with { OutputDirectory = run.Out("other"), Lora = new LoraOptions { Dropout = 0.1 } };
        Assert.Contains("--lora-dropout 0", Assert.Throws<AdapterException>(() => run.Run()).Message, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void A_folder_that_loftq_has_begun_goes_on_as_in_the_reference()
    {
        // The base as PEFT's script saves it, with what was left of each matrix, and the adapter in a folder of its own.
        using var model = new FolderVariant(Golden.Folder("llama31"));
        using (var changed = SafetensorsFile.Open(ReferenceData.Transformers("init", "loftq_llama31", "base_after_init.safetensors")))
            foreach (var entry in changed.Entries)
            {
                model.Take(entry.Name);
                model.Put(entry.Name, entry.Dtype, [.. entry.Shape], changed.Bytes(entry).ToArray());
            }
        using var run = Fresh(AdapterInit.Kaiming);
        run.Options = run.Options with { ModelDirectory = model.Write(), MaxSteps = 10, Lora = new LoraOptions(),
            AdapterDirectory = ReferenceData.Transformers("init", "loftq_llama31", "adapter_init") };
        run.Run();
        var golden = JsonDocument.Parse(File.ReadAllText(ReferenceData.Transformers("init", "loftq_llama31", "expected.json"))).RootElement;
        var expected = golden.GetProperty("traj").GetProperty("losses").EnumerateArray().Select(loss => loss.GetDouble()).ToList();
        Assert.All(expected.Zip(run.Metrics), pair => Assert.Equal(pair.First, pair.Second.GetProperty("loss").GetDouble(), Golden.TrajectoryGate));
        Assert.Equal(10, expected.Count);
    }

    private static PrincipalDirections Directions(SafetensorsFile golden, string input, int kept)
    {
        var shape = golden.Entry(input).Shape;
        using var rows = torch.tensor(Golden.Floats(golden, input), shape);
        var found = new PrincipalDirections((int)shape[2], kept);
        for (var batch = 0; batch < shape[0]; batch++) found.Add(rows[batch]);
        return found;
    }

    private static GoldenRun Fresh(AdapterInit init)
    {
        var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        run.Options = run.Options with { AdapterDirectory = null, AllowHighLoss = true, MaxSteps = 4, SaveSteps = 2,
            Lora = run.Options.Lora with { Rank = 4, Alpha = 8, Init = init, TargetModules = AllLinears } };
        return run;
    }
}
