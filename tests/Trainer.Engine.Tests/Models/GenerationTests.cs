using System.Text.Json.Nodes;
using Trainer.Engine.Generation;
using Trainer.Models;
using Trainer.Tokenizers;

namespace Trainer.Engine.Tests.Models;

[Trait("ring", "model")]
public class GenerationTests
{
    // llama2.c, doc/stories260K.md: what the model says from its start token at temperature 0.
    private const string Story = """
        Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.
        Lily's mom said, "Lily, let's go to the park." Lily was sad and didn't know what to do. She said, "I want to play with your ball, but I can't find it."
        Lily was sad and didn't know what to do. She said, "I'm sorry, Lily. I didn't know what to do."
        Lily didn't want to help her mom, so she said, "I'm sorry, mom. I didn't know what to do." Her mom said, "Don't worry, Lily. We can help you.
        """;

    public static TheoryData<string, EngineKind> Engines
    {
        get
        {
            var cases = new TheoryData<string, EngineKind>();
            foreach (var name in (string[])["llama31", "llama_bias", "mistral_sw8", "qwen3", "granite", "gemma2", "gemma3", "olmo2", "phi3",
                "phi3_partial_longrope", "smollm3"])
            {
                cases.Add(name, EngineKind.Auto);
                cases.Add(name, EngineKind.Reference);
            }
            return cases;
        }
    }

    [SkippableFact]
    public void Greedy_text_of_stories260K_is_the_published_one()
    {
        var folder = Path.Combine(Golden.Root, "..", "..", "..", "..", "shared", "models", "stories260K");
        Skip.IfNot(Directory.Exists(folder), $"no {Path.GetFullPath(folder)}");
        using var model = CausalModel.Load(folder);
        Assert.Equal([2, 1], model.Config.EosIds);
        using var generator = new TextGenerator(model);
        var ids = generator.Generate([1], new SamplingOptions { MaxTokens = 256 }).ToList();
        var text = HfTokenizer.Load(folder).Decode([.. ids], skipSpecialTokens: true);
        Assert.Equal(256, ids.Count);
        Assert.Equal(Story, text.TrimStart());
    }

    // The reference engine's cache is one for all families: windows, caps and partial turns are in these.
    private static bool IsTelling(object[] one) => one[1] is EngineKind.Auto || one[0] is "gemma2" or "mistral_sw8" or "phi3_partial_longrope";

    public static IEnumerable<object[]> TellingEngines => Rings.Always(Engines, IsTelling);

    public static IEnumerable<object[]> OtherEngines => Rings.Slow(Engines, IsTelling);

    [Theory, MemberData(nameof(OtherEngines)), Trait("ring", "slow")]
    public void Tokens_from_the_reference_engines_cache_are_those_of_whole_passes(string name, EngineKind engine)
        => Tokens_from_the_cache_are_those_of_whole_passes(name, engine);

    [Theory, MemberData(nameof(TellingEngines))]
    public void Tokens_from_the_cache_are_those_of_whole_passes(string name, EngineKind engine)
    {
        using var model = CausalModel.Load(Golden.Folder(name), new ModelLoadOptions { Engine = engine });
        int[] prompt = [1, 17, 90, 33, 4];
        var options = new SamplingOptions { MaxTokens = 20, StopIds = [] };
        using var generator = new TextGenerator(model);
        var cached = generator.Generate(prompt, options).ToList();
        var whole = new List<int>(prompt);
        for (var i = 0; i < 20; i++)
        {
            using var logits = model.Logits(TokenBatch.OfTokens([.. whole]));
            var row = logits.data<float>().ToArray()[^model.Config.VocabularySize..];
            whole.Add(Array.IndexOf(row, row.Max()));
        }
        Assert.Equal(whole.Skip(prompt.Length), cached);
    }

    [Theory]
    [InlineData(EngineKind.Auto, 5, 12)]
    [InlineData(EngineKind.Reference, 5, 12)]
    [InlineData(EngineKind.Auto, 530, 2)]
    [InlineData(EngineKind.Reference, 530, 2)]
    public void A_text_that_LongRoPE_crosses_is_that_of_whole_passes(EngineKind engine, int length, int count)
    {
        // The first crosses while it grows, the second within a prompt that is computed in parts of 512.
        AsWhole("phi3_partial_longrope", engine, length, count, config =>
        {
            config["max_position_embeddings"] = 1024;
            config["original_max_position_embeddings"] = length + 5 > 512 ? 520 : length + 5;
            if (config["rope_scaling"] is JsonObject scaling) scaling.Remove("original_max_position_embeddings");
            if (config["rope_parameters"] is JsonObject parameters) parameters["original_max_position_embeddings"] = length + 5 > 512 ? 520 : length + 5;
        });
    }

    [Theory]
    [InlineData(EngineKind.Auto)]
    [InlineData(EngineKind.Reference)]
    public void A_long_prompt_under_dynamic_scaling_is_computed_with_the_frequencies_of_its_whole_length(EngineKind engine) =>
        AsWhole("llama2", engine, 700, 1, config =>
        {
            config["max_position_embeddings"] = 256;
            config["rope_scaling"] = JsonNode.Parse("""{"rope_type": "dynamic", "factor": 4.0}""");
        });

    private static void AsWhole(string name, EngineKind engine, int length, int count, Action<JsonObject> change)
    {
        var folder = Directory.CreateTempSubdirectory("generation-").FullName;
        try
        {
            File.Copy(Golden.Folder(name, "model.safetensors"), Path.Combine(folder, "model.safetensors"));
            var config = JsonNode.Parse(File.ReadAllText(Golden.Folder(name, "config.json")))!.AsObject();
            change(config);
            File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString());
            using var model = CausalModel.Load(folder, new ModelLoadOptions { Engine = engine });
            foreach (var seed in (int[])[1, 2, 3])
            {
                var random = new Random(seed);
                var whole = Enumerable.Range(0, length).Select(_ => random.Next(model.Config.VocabularySize)).ToList();
                using var generator = new TextGenerator(model);
                var cached = generator.Generate([.. whole], new SamplingOptions { MaxTokens = count, StopIds = [] }).ToList();
                for (var i = 0; i < count; i++)
                {
                    using var logits = model.Logits(TokenBatch.OfTokens([.. whole]));
                    var row = logits.data<float>().ToArray()[^model.Config.VocabularySize..];
                    whole.Add(Array.IndexOf(row, row.Max()));
                }
                Assert.Equal(whole.Skip(length), cached);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Sampling_repeats_with_its_seed_and_narrows_with_its_limits()
    {
        using var model = CausalModel.Load(Golden.Folder("llama2"));
        using var generator = new TextGenerator(model);
        List<int> Text(SamplingOptions options) => [.. generator.Generate([1, 2, 3], options with { MaxTokens = 30, StopIds = [] })];
        var warm = new SamplingOptions { Temperature = 1.5 };
        Assert.Equal(Text(warm), Text(warm));
        Assert.NotEqual(Text(warm), Text(warm with { Seed = 43 }));
        var greedy = Text(new SamplingOptions());
        Assert.Equal(greedy, Text(warm with { TopK = 1 }));
        Assert.Equal(greedy, Text(warm with { TopP = 1e-9 }));
        Assert.Equal(greedy, Text(warm with { MinP = 0.9999999 }));
        Assert.NotEqual(greedy, Text(warm));
        Assert.Equal(30, Text(new SamplingOptions { RepetitionPenalty = 1e9 }).Distinct().Count());
    }

    [Theory]
    [InlineData(0, 1.0, 0.0, 4)]
    [InlineData(2, 1.0, 0.0, 2)]
    [InlineData(0, 0.75, 0.0, 2)]
    [InlineData(0, 0.9999999, 0.0, 4)]
    [InlineData(0, 1.0, 0.25, 3)]
    [InlineData(3, 0.8, 0.0, 2)]
    [InlineData(0, 0.99, 0.02, 4)]
    public void Draws_follow_the_probabilities_that_are_kept(int topK, double topP, double minP, int kept)
    {
        double[] chances = [0.15, 0.5, 0.05, 0.3];
        var likeliest = chances.Order().Reverse().Take(kept).ToArray();
        var sampler = new TokenSampler(new SamplingOptions { Temperature = 1, TopK = topK, TopP = topP, MinP = minP }, 4);
        var counts = new int[4];
        for (var i = 0; i < 20000; i++) counts[sampler.Next([.. chances.Select(chance => (float)Math.Log(chance))], [])]++;
        for (var id = 0; id < 4; id++)
            Assert.Equal(likeliest.Contains(chances[id]) ? chances[id] / likeliest.Sum() : 0, counts[id] / 20000.0,
                likeliest.Contains(chances[id]) ? 0.015 : 0);
    }

    [Fact]
    public void A_token_just_on_the_limit_is_the_last_that_top_p_keeps_and_one_that_min_p_keeps()
    {
        static IEnumerable<int> Drawn(SamplingOptions options, float[] logits)
        {
            var sampler = new TokenSampler(options with { Temperature = 1 }, 4);
            return Enumerable.Range(0, 500).Select(_ => sampler.Next([.. logits], [])).Distinct().Order();
        }
        Assert.Equal([0, 1], Drawn(new SamplingOptions { TopP = 0.5 }, [1, 1, 1, 1]));
        Assert.Equal([0, 1, 2], Drawn(new SamplingOptions { MinP = Math.Exp(-1) }, [1, 1, 0, -1]));
    }

    [Fact]
    public void Generation_ends_at_a_stop_id_without_it()
    {
        using var model = CausalModel.Load(Golden.Folder("llama2"));
        using var generator = new TextGenerator(model);
        var free = generator.Generate([1, 2, 3], new SamplingOptions { MaxTokens = 10, StopIds = [] }).ToList();
        var stopped = generator.Generate([1, 2, 3], new SamplingOptions { MaxTokens = 10, StopIds = [free[4]] }).ToList();
        Assert.Equal(free.TakeWhile(id => id != free[4]), stopped);
    }
}
