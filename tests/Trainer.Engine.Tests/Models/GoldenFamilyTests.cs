using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Generation;
using Trainer.Models;
using Trainer.Models.Families;

namespace Trainer.Engine.Tests.Models;

/// <summary>Every family of the larger reference data against transformers: logits, losses, both layouts of config.json, packed rows, decoding.</summary>
[Trait("ring", "slow")]
public class GoldenFamilyTests
{
    public static TheoryData<string> Cases => new(GoldenFamilies.Models);

    [SkippableTheory, MemberData(nameof(Cases))]
    public void Logits_and_losses_equal_the_reference(string name)
    {
        var folder = ReferenceData.Transformers("models", name);
        using var io = SafetensorsFile.Open(Path.Combine(folder, "io.safetensors"));
        foreach (var engine in GoldenFamilies.Engines(folder))
        {
            using var model = Load(folder, engine);
            using var logits = model.Logits(Golden.Batch(io, trimmed: false));
            Assert.InRange(Golden.LargestDifference(logits.data<float>().ToArray(), Golden.Floats(io, "logits")), 0, GoldenFamilies.LogitGate(name));
            var batch = Golden.Batch(io, trimmed: true);
            var expected = Golden.Expected(folder);
            Assert.Equal(expected.GetProperty("loss_tokens").GetInt32(), batch.TrainedTokens);
            Assert.InRange(Math.Abs(model.TokenLosses(batch).Sum(loss => (double)loss) / batch.TrainedTokens - expected.GetProperty("loss").GetDouble()), 0,
                GoldenFamilies.LossGate(name));
        }
    }

    [SkippableTheory, MemberData(nameof(Cases))]
    public void Both_layouts_of_config_describe_the_same_model(string name)
    {
        var folder = ReferenceData.Transformers("models", name);
        if (!File.Exists(Path.Combine(folder, "config.v5.json"))) return;
        var other = Directory.CreateTempSubdirectory("config-v5-").FullName;
        File.Copy(Path.Combine(folder, "config.v5.json"), Path.Combine(other, "config.json"));
        if (File.Exists(Path.Combine(folder, "generation_config.json")))
            File.Copy(Path.Combine(folder, "generation_config.json"), Path.Combine(other, "generation_config.json"));
        Assert.Equivalent(ConfigLoader.Load(folder) with { StoredType = null }, ConfigLoader.Load(other) with { StoredType = null }, strict: true);
        Directory.Delete(other, recursive: true);
    }

    [SkippableTheory, MemberData(nameof(Cases))]
    public void Packed_segments_equal_the_same_rows_apart(string name)
    {
        var folder = ReferenceData.Transformers("models", name);
        using var io = SafetensorsFile.Open(Path.Combine(folder, "io.safetensors"));
        var ids = Golden.Ints(io, "input_ids");
        (int Start, int Count)[] parts = [(0, 23), (23, 17), (40, 23), (63, 9)];
        var rows = parts.Select(part => ids[part.Start..(part.Start + part.Count)]).ToList();
        foreach (var engine in GoldenFamilies.Engines(folder))
        {
            using var model = Load(folder, engine);
            using var packed = model.Logits(TokenBatch.OfRows([.. rows.Select(row => (row, row))]));
            var all = packed.data<float>().ToArray();
            var at = 0;
            foreach (var row in rows)
            {
                using var alone = model.Logits(TokenBatch.OfTokens(row));
                var expected = alone.data<float>().ToArray();
                // Of the largest logit: what rounding leaves grows with it, and libtorch's products round by how many threads it finds free.
                var gate = (GoldenFamilies.LogitGate(name) > 1e-4 ? 2e-5 : 1e-5) * Math.Max(1, expected.Max(Math.Abs));
                Assert.InRange(Golden.LargestDifference(all.AsSpan(at, expected.Length), expected), 0, gate);
                at += expected.Length;
            }
            if (!io.Tensors.ContainsKey("packed.logits")) continue;
            Assert.InRange(Golden.LargestDifference(all.AsSpan(0, 40 * model.Config.VocabularySize), Golden.Floats(io, "packed.logits")), 0,
                GoldenFamilies.LogitGate(name));
        }
    }

    [SkippableTheory, MemberData(nameof(Cases))]
    public void Tokens_from_the_cache_are_those_of_whole_passes(string name)
    {
        var folder = ReferenceData.Transformers("models", name);
        foreach (var engine in GoldenFamilies.Engines(folder))
        {
            using var model = Load(folder, engine);
            int[] prompt = [1, 17, 90, 33, 4, 200, 13, 77, 5];
            using var generator = new TextGenerator(model);
            var options = new SamplingOptions { MaxTokens = 12, StopIds = [] };
            Assert.Equal(Greedy(model, prompt, 12), generator.Generate(prompt, options));
            // Of the text before, what both have in common may stay.
            int[] another = [.. prompt[..6], 99, 3];
            Assert.Equal(Greedy(model, another, 12), generator.Generate(another, options));
        }
    }

    [SkippableTheory, MemberData(nameof(Cases))]
    public void Texts_continued_together_are_those_of_whole_passes(string name)
    {
        var folder = ReferenceData.Transformers("models", name);
        foreach (var engine in GoldenFamilies.Engines(folder))
        {
            using var model = Load(folder, engine);
            int[][] prompts = [[1, 17, 90, 33, 4], [5, 77, 13], [1, 17, 90, 33, 4], [9, 8, 7, 6, 5, 4, 3, 2, 1]];
            var texts = TextBatch.Continue(model, prompts, index => new SamplingOptions { MaxTokens = 3 + 2 * index, StopIds = [] }, size: 3);
            for (var index = 0; index < prompts.Length; index++) Assert.Equal(Greedy(model, prompts[index], 3 + 2 * index), texts[index]);
        }
    }

    private static IEnumerable<int> Greedy(CausalModel model, int[] prompt, int count)
    {
        var text = new List<int>(prompt);
        for (var i = 0; i < count; i++)
        {
            using var logits = model.Logits(TokenBatch.OfTokens([.. text]));
            var row = logits.data<float>().ToArray()[^model.Config.VocabularySize..];
            text.Add(Array.IndexOf(row, row.Max()));
        }
        return text.Skip(prompt.Length);
    }

    private static CausalModel Load(string folder, EngineKind engine)
        => CausalModel.Load(folder, new ModelLoadOptions { Engine = engine, Compute = ComputeKind.Float32 });
}
