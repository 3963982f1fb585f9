using Trainer.Adapters;
using Trainer.Engine.Generation;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Fast;

[Trait("ring", "model")]
public sealed class BatchDecodeTests
{
    // Other orders of addition of the same float32 numbers.
    private const double Gate = 2e-5;
    private const int Vocabulary = 90;

    public static TheoryData<string, EngineKind> Families
    {
        get
        {
            var cases = new TheoryData<string, EngineKind>();
            foreach (var name in (string[])["llama31", "llama_bias", "mistral_sw8", "qwen3", "granite", "gemma2", "gemma3", "olmo2", "phi3",
                "phi3_partial_longrope", "smollm3"])
                foreach (var engine in (EngineKind[])[EngineKind.Auto, EngineKind.Libtorch, EngineKind.Reference])
                    if (engine != EngineKind.Libtorch || name != "phi3_partial_longrope") cases.Add(name, engine);
            return cases;
        }
    }

    [Theory, MemberData(nameof(Families))]
    public void Logits_of_texts_continued_together_are_those_of_each_alone(string name, EngineKind engine)
    {
        using var model = CausalModel.Load(Golden.Folder(name), new ModelLoadOptions { Engine = engine });
        using ITokenDecoder first = model.Engine.Decoder(), second = model.Engine.Decoder(), third = model.Engine.Decoder();
        ITokenDecoder[] texts = [first, second, third];
        List<int>[] ids = [[], [], []];
        // Prompts beside single tokens, texts that wait, and one that has left.
        foreach (var lengths in (int[][])[[11, 1, 4], [1, 9, 0], [1, 1, 1], [5, 1, 1], [1, 0, 1], [1, 1, 0], [1, 2, 0]])
        {
            var parts = new List<TextPart>();
            for (var t = 0; t < texts.Length; t++)
            {
                if (lengths[t] == 0) continue;
                int[] tokens = [.. Enumerable.Range(ids[t].Count, lengths[t]).Select(i => 1 + (i * 37 + t * 11) % Vocabulary)];
                ids[t].AddRange(tokens);
                parts.Add(new TextPart(texts[t], tokens, ids[t].Count));
            }
            var size = model.Config.VocabularySize;
            var logits = new float[parts.Count * size];
            model.Engine.Continue(parts, logits);
            for (var p = 0; p < parts.Count; p++)
            {
                using var whole = model.Logits(TokenBatch.OfTokens([.. ids[Array.IndexOf(texts, parts[p].Text)]]));
                var expected = whole.data<float>().ToArray()[^size..];
                Assert.InRange(Golden.LargestDifference(expected, logits.AsSpan(p * size, size)), 0, Gate * expected.Max(Math.Abs));
            }
        }
        Assert.Equal([21, 15, 7], texts.Select(text => text.Length));
    }

    [Theory, MemberData(nameof(Families))]
    public void Greedy_texts_made_together_are_those_made_alone(string name, EngineKind engine)
    {
        using var model = CausalModel.Load(Golden.Folder(name), new ModelLoadOptions { Engine = engine });
        var beginning = Tokens(20, 3);
        int[][] prompts = [[.. beginning, 5], [.. beginning, 6, 7], [.. beginning, 5], [.. beginning, .. Tokens(30, 9)], [.. beginning, 8]];
        var most = new[] { 4, 12, 9, 3, 7 };
        int[] Alone(int index, int[] stops)
        {
            using var generator = new TextGenerator(model);
            return [.. generator.Generate(prompts[index], new SamplingOptions { MaxTokens = most[index], StopIds = stops })];
        }
        // One text ends by its own token, the others by their length.
        int[] stop = [Alone(1, [])[2]];
        var ended = new List<int>();
        var texts = TextBatch.Continue(model, prompts, index => new SamplingOptions { MaxTokens = most[index], StopIds = stop }, size: 3,
            (index, _) => ended.Add(index));
        for (var index = 0; index < prompts.Length; index++) Assert.Equal(Alone(index, stop), texts[index]);
        Assert.Equal([0, 1, 2, 3, 4], ended.Order());
    }

    [Fact]
    public void What_prompts_share_is_computed_once()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        var beginning = Tokens(40, 3);
        using var batch = new TextBatch(model);
        batch.Share(beginning);
        Assert.Equal(40, batch.ComputedTokens);
        BatchText[] texts = [.. Enumerable.Range(0, 4).Select(_ => batch.Add([.. beginning, 5, 6], new SamplingOptions { MaxTokens = 1, StopIds = [] }))];
        batch.Add([.. beginning, 9], new SamplingOptions { MaxTokens = 1, StopIds = [] });
        Assert.Equal(5, batch.Step().Count);
        Assert.Equal(43, batch.ComputedTokens);
        Assert.Equal(0, batch.Count);
        Assert.Single(texts.Select(text => text.Tokens.Single()).Distinct());
    }

    [Theory, InlineData(EngineKind.Auto), InlineData(EngineKind.Reference)]
    public void What_a_text_says_does_not_depend_on_the_others(EngineKind engine)
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Engine = engine });
        int[][] prompts = [[1, 2, 3], [4, 5], [1, 2, 3], [7], [1, 2, 3]];
        SamplingOptions Options(int index) => new() { Temperature = 1, TopK = 40, MaxTokens = 12, Seed = 100 + index, StopIds = [] };
        var together = TextBatch.Continue(model, prompts, Options, size: 5);
        for (var index = 0; index < prompts.Length; index++)
        {
            using var generator = new TextGenerator(model);
            Assert.Equal(generator.Generate(prompts[index], Options(index)), together[index]);
        }
        Assert.Equal(together, TextBatch.Continue(model, prompts, Options, size: 2));
        Assert.NotEqual(together[0], together[2]);
        Assert.NotEqual(together[2], together[4]);
    }

    [Fact]
    public void A_text_that_leaves_hands_its_prompt_to_those_that_wait_for_it()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        using var batch = new TextBatch(model);
        var options = new SamplingOptions { MaxTokens = 5, StopIds = [] };
        var prompt = Tokens(600, 4);
        var (first, second, third) = (batch.Add(prompt, options), batch.Add(prompt, options), batch.Add(prompt, options));
        // The prompt takes two passes; it is not whole yet.
        Assert.Empty(batch.Step());
        batch.Remove(first);
        while (batch.Count > 0) batch.Step();
        using var generator = new TextGenerator(model);
        var alone = generator.Generate(prompt, options).ToArray();
        Assert.Equal(alone, second.Tokens);
        Assert.Equal(alone, third.Tokens);
        Assert.Empty(first.Tokens);
        Assert.Equal(600 + 2 * 4, batch.ComputedTokens);
    }

    [Theory]
    [InlineData(QuantizeKind.Nf4), InlineData(QuantizeKind.Int8), InlineData(QuantizeKind.None)]
    public void A_batch_with_a_dora_adapter_says_what_its_texts_say_alone(QuantizeKind quantize)
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Quantize = quantize });
        AdapterInjector.Inject(model, new LoraSpec { Rank = 4, Alpha = 64, UseDora = true }, 1);
        FastRun.Randomize(model);
        int[][] prompts = [.. Enumerable.Range(0, 20).Select(i => Tokens(3 + i, i))];
        var options = new SamplingOptions { MaxTokens = 6, StopIds = [] };
        var texts = TextBatch.Continue(model, prompts, _ => options, size: 20);
        for (var index = 0; index < prompts.Length; index += 6)
        {
            using var generator = new TextGenerator(model);
            Assert.Equal(generator.Generate(prompts[index], options), texts[index]);
        }
    }

    [Theory, InlineData(EngineKind.Auto), InlineData(EngineKind.Reference)]
    public void What_texts_keep_is_what_was_planned_for_them(EngineKind engine)
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Engine = engine });
        using var batch = new TextBatch(model);
        for (var i = 0; i < 3; i++) batch.Add(Tokens(5 + i, i), new SamplingOptions { MaxTokens = 100, StopIds = [] });
        batch.Step();
        Assert.Equal(TextMemory.Bytes(model.Config, 3, 105 + 106 + 107), batch.Bytes);
        for (var i = 0; i < 98; i++) batch.Step();
        Assert.Equal(TextMemory.Bytes(model.Config, 3, 105 + 106 + 107), batch.Bytes);
        batch.Step();
        Assert.Equal(0, batch.Bytes);
    }

    [Fact]
    public void As_many_texts_are_continued_at_a_time_as_memory_holds()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        long Bytes(int texts, long tokens) => TextMemory.Bytes(model.Config, texts, tokens);
        Assert.Equal((3, Bytes(4, 400)), TextMemory.Fitting(model.Config, [100, 20, 100, 100], 3, Bytes(4, 400)));
        Assert.Equal(2, TextMemory.Fitting(model.Config, [100, 20, 100, 100], 3, Bytes(4, 400) - 1).Texts);
        Assert.Equal(4, TextMemory.Fitting(model.Config, [100, 20, 100, 100], 9, long.MaxValue).Texts);
        Assert.Equal(0, TextMemory.Fitting(model.Config, [100], 9, Bytes(2, 200) - 1).Texts);
    }

    [Fact]
    public void A_prompt_that_goes_on_from_a_text_that_is_over_costs_what_it_adds()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        var options = new SamplingOptions { MaxTokens = 4, StopIds = [] };
        using var batch = new TextBatch(model, keep: 1);
        var first = batch.Add(Tokens(30, 2), options);
        while (batch.Count > 0) batch.Step();
        var computed = batch.ComputedTokens;
        int[] next = [.. Tokens(30, 2), .. first.Tokens, 7, 8];
        var second = batch.Add(next, options);
        while (batch.Count > 0) batch.Step();
        // The last token of the first text was never computed: nobody asked what follows it.
        Assert.Equal(3 + 3, batch.ComputedTokens - computed);
        using var generator = new TextGenerator(model);
        Assert.Equal(generator.Generate(next, options), second.Tokens);
    }

    [Fact]
    public void An_empty_prompt_is_refused_and_no_tokens_may_be_asked_for()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        using var batch = new TextBatch(model);
        Assert.Throws<ArgumentException>(() => batch.Add([], new SamplingOptions()));
        Assert.True(batch.Add([1], new SamplingOptions { MaxTokens = 0 }).HasEnded);
        Assert.Empty(batch.Step());
        Assert.Empty(TextBatch.Continue(model, [], _ => new SamplingOptions(), size: 4));
    }

    private static int[] Tokens(int count, int seed) => [.. Enumerable.Range(0, count).Select(i => 1 + (i * 37 + seed * 13) % Vocabulary)];
}
