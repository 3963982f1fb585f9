using System.Text.Json;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Tests.Models;
using Trainer.Models.Lora;
using Trainer.Training.Objectives;

namespace Trainer.Engine.Tests.Training;

/// <summary>Variants of supervised training equal transformers 5.12, TRL 1.10 and PEFT 0.20 on the same rows: losses and norms of ten steps.</summary>
[Trait("ring", "model")]
public class SftVariantTests
{
    private static readonly string[] AllLinears = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    [Theory]
    [InlineData("dft", 0, 1,
        new[] { 0.02092345431447029, 0.01666039600968361, 0.015521766617894173, 0.0164195466786623, 0.01409932691603899, 0.015280666761100292,
        0.015042085200548172, 0.018733812496066093, 0.014119146391749382, 0.015234979800879955 },
        new[] { 0.024754509329795837, 0.019905738532543182, 0.019482947885990143, 0.014498300850391388, 0.016065388917922974, 0.016776394098997116,
        0.018523965030908585, 0.02268972620368004, 0.017960401251912117, 0.02055109106004238 })]
    [InlineData("dft", 0, 2,
        new[] { 0.018909410573542118, 0.01593515370041132, 0.014730586670339108, 0.016662404872477055, 0.01461777463555336, 0.02008578460663557,
        0.017403542529791594, 0.015488741919398308, 0.015874792356044054, 0.013403517194092274 },
        new[] { 0.0160850640386343, 0.012657850049436092, 0.011691758409142494, 0.014385327696800232, 0.013968277722597122, 0.023605305701494217,
        0.022933591157197952, 0.01627759262919426, 0.0105608394369483, 0.00865557137876749 })]
    [InlineData("", 0.1, 1,
        new[] { 6.366936683654785, 6.431296348571777, 6.637623310089111, 6.4027509689331055, 6.615888595581055, 6.494955062866211, 6.620935440063477,
        6.567773818969727, 6.5548272132873535, 6.666440010070801 },
        new[] { 3.148026943206787, 3.2139194011688232, 2.883610725402832, 3.5218453407287598, 3.2255935668945312, 3.1415035724639893, 3.3901336193084717,
        3.143280506134033, 2.9117701053619385, 3.4824159145355225 })]
    [InlineData("", 0.2, 2,
        new[] { 6.418066501617432, 6.533320188522339, 6.559034109115601, 6.5941550731658936, 6.609238147735596, 6.35432505607605, 6.507204532623291,
        6.566659927368164, 6.542865991592407, 6.603995084762573 },
        new[] { 1.9942785501480103, 2.0253169536590576, 1.9784824848175049, 2.031944990158081, 2.0532989501953125, 2.00677752494812, 1.7634793519973755,
        1.7969863414764404, 1.6873775720596313, 2.1225926876068115 })]
    public void Loss_variants_equal_the_reference(string lossType, double smoothing, int accumulation, double[] losses, double[] norms)
    {
        using var run = new GoldenRun("llama31_base", "llama31", 320, accumulation);
        run.Options = run.Options with { LabelSmoothing = smoothing, Preference = new PreferenceOptions { LossType = lossType.Length > 0 ? [lossType] : [] } };
        run.Run();
        AssertNear(losses, norms, run);
    }

    [Theory]
    [InlineData(AdapterInit.Pissa,
        new[] { 6.387203693389893, 6.376978397369385, 6.574121475219727, 6.603907108306885, 6.719961643218994, 6.512711048126221, 6.642228603363037,
        6.731770038604736, 6.3299455642700195, 6.602573394775391 },
        new[] { 6.396090984344482, 5.391122341156006, 5.20772647857666, 5.649129867553711, 5.828831672668457, 5.437031269073486, 5.051412105560303,
        5.597352981567383, 5.261673927307129, 5.855319499969482 })]
    [InlineData(AdapterInit.Olora,
        new[] { 6.387203693389893, 6.376977920532227, 6.57741117477417, 6.617762565612793, 6.729243278503418, 6.497509956359863, 6.633715629577637,
        6.7379069328308105, 6.327897548675537, 6.5753607749938965 },
        new[] { 9.206336975097656, 7.817901611328125, 7.263236045837402, 7.874094009399414, 8.089980125427246, 7.140969753265381, 7.611093997955322,
        7.926575660705566, 7.557647705078125, 8.530982971191406 })]
    public void Initialisations_of_the_strongest_directions_equal_the_reference(AdapterInit init, double[] losses, double[] norms)
    {
        using var run = Fresh(init);
        run.Run();
        AssertNear(losses, norms, run);
    }

    [Theory]
    [InlineData(AdapterInit.Pissa)]
    [InlineData(AdapterInit.Olora)]
    public void The_saved_adapter_is_a_plain_one_of_twice_the_rank_for_the_original_base(AdapterInit init)
    {
        using var run = Fresh(init);
        run.Options = run.Options with { MaxSteps = 3 };
        run.Run();
        using var config = JsonDocument.Parse(File.ReadAllBytes(run.Out("adapter_config.json")));
        Assert.Equal((8, 16.0), (config.RootElement.GetProperty("r").GetInt32(), config.RootElement.GetProperty("lora_alpha").GetDouble()));
        using var file = SafetensorsFile.Open(run.Out("adapter_model.safetensors"));
        foreach (var entry in file.Entries.Where(entry => entry.Name.Contains("q_proj.lora_A", StringComparison.Ordinal)))
        {
            // The half that takes the beginning off again stays where it was, decay or not: it began as a copy of the trained half.
            var values = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(file.Bytes(entry)).ToArray();
            Assert.NotEqual(values[..(values.Length / 2)], values[(values.Length / 2)..]);
        }
        using var fresh = Fresh(init);
        fresh.Options = fresh.Options with { MaxSteps = 1, WarmupSteps = 1, LearningRate = 1e-9 };
        fresh.Run();
        using var before = SafetensorsFile.Open(fresh.Out("adapter_model.safetensors"));
        foreach (var entry in before.Entries.Where(entry => entry.Name.Contains("lora_A", StringComparison.Ordinal)))
        {
            var (frozen, now) = (Half(before, entry.Name), Half(file, entry.Name));
            Assert.Equal(frozen, now);
        }
    }

    [Fact]
    public void An_orthogonal_start_changes_nothing_and_has_both_factors()
    {
        using var run = Fresh(AdapterInit.Orthogonal);
        run.Options = run.Options with { MaxSteps = 1 };
        run.Run();
        using var kaiming = Fresh(AdapterInit.Kaiming);
        kaiming.Options = kaiming.Options with { MaxSteps = 1 };
        kaiming.Run();
        Assert.Equal(kaiming.Metrics[0].GetProperty("loss").GetDouble(), run.Metrics[0].GetProperty("loss").GetDouble(), 1e-4);
        Assert.True(run.Metrics[0].GetProperty("grad_norm").GetDouble() > 0);
    }

    [Theory]
    [InlineData(AdapterInit.Pissa, "embed_tokens")]
    [InlineData(AdapterInit.Orthogonal, "embed_tokens")]
    public void A_start_that_knows_linear_layers_refuses_others(AdapterInit init, string target)
    {
        using var run = Fresh(init);
        run.Options = run.Options with { Lora = run.Options.Lora with { TargetModules = ["q_proj", target] } };
        Assert.Contains("--init-lora", Assert.Throws<AdapterOptionException>(() => run.Run()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_frozen_A_keeps_its_bits_and_B_moves()
    {
        using var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        run.Options = run.Options with { MaxSteps = 4, Lora = run.Options.Lora with { FreezeA = true } };
        run.Run();
        using var after = SafetensorsFile.Open(run.Out("adapter_model.safetensors"));
        using var before = SafetensorsFile.Open(Path.Combine(run.Options.AdapterDirectory!, "adapter_model.safetensors"));
        Assert.All(after.Entries, entry => Assert.Equal(entry.Name.Contains("lora_A", StringComparison.Ordinal),
            after.Bytes(entry).SequenceEqual(before.Bytes(before.Entry(entry.Name)))));
    }

    [Fact]
    public void Noise_on_embeddings_is_bounded_and_both_engines_draw_the_same()
    {
        int[] ids = [1, 5, 9, 14, 3, 2];
        TokenBatch Batch(double noise) => new(ids, [5, 9, 14, 3, 2, -100], [0, 1, 2, 3, 4, 5], [0, 4, 6], [1f, 1f]) { EmbeddingNoise = noise };
        var losses = new List<double>();
        foreach (var engine in new[] { Trainer.Models.EngineKind.Fast, Trainer.Models.EngineKind.Reference })
        {
            using var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Engine = engine });
            Trainer.Adapters.PeftFolder.Load(model, Golden.Folder("lora", "llama31_base", "adapter_init"), 0);
            foreach (var noise in new[] { 0, 5.0, 5.0 }) losses.Add(model.ForwardBackward(Batch(noise), 1, new StepKey(1, 2, 3)).LossSum);
        }
        Assert.Equal(losses[1], losses[2]);
        Assert.Equal(losses[1], losses[4], 1e-3);
        Assert.NotEqual(losses[0], losses[1], 1e-3);
        var drawn = new float[40 * 64];
        EmbeddingNoise.Add(drawn, new TokenBatch(new int[40], new int[40], [.. Enumerable.Range(0, 40)], [0, 40], [1f]) { EmbeddingNoise = 5 },
            new StepKey(1, 2, 3), 64);
        // transformers: alpha / sqrt(L D) for 40 tokens of width 64.
        Assert.InRange(drawn.Max(Math.Abs), 0.09, 0.09882117688026185);
        Assert.Equal(0.09882117688026185 / Math.Sqrt(3), Math.Sqrt(drawn.Average(value => (double)value * value)), 2e-3);
        Assert.Equal(0, drawn.Average(), 5e-3);
    }

    [Fact]
    public void A_module_may_have_a_rate_of_its_own()
    {
        ParameterEntry[] tensors = [new("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", [4, 4], 0),
            new("base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight", [4, 4], 16)];
        var groups = Trainer.Training.Optimizers.ParameterGroups.Of(tensors, 4, 1e-4, new Dictionary<string, double> { ["q_proj"] = 5e-5 });
        Assert.Equal([0.5, 4.0], groups.Select(group => group.RateFactor));
    }

    private static float[] Half(SafetensorsFile file, string name)
    {
        var values = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(file.Bytes(file.Entry(name)));
        return values[(values.Length / 2)..].ToArray();
    }

    private static GoldenRun Fresh(AdapterInit init)
    {
        var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        run.Options = run.Options with
        {
            AdapterDirectory = null, AllowHighLoss = true, Lora = run.Options.Lora with { Rank = 4, Alpha = 8, Init = init, TargetModules = AllLinears },
        };
        return run;
    }

    private static void AssertNear(double[] losses, double[] norms, GoldenRun run)
    {
        for (var step = 0; step < losses.Length; step++)
        {
            Assert.Equal(losses[step], run.Metrics[step].GetProperty("loss").GetDouble(), Golden.TrajectoryGate);
            Assert.Equal(norms[step], run.Metrics[step].GetProperty("grad_norm").GetDouble(), 1e-3);
        }
    }
}
