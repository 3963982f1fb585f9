using Trainer.Adapters;
using Trainer.Engine.Fast;
using Trainer.Engine.Fast.Bench;
using Trainer.Engine.Generation;
using Trainer.Engine.Reference;
using Trainer.Engine.Tests.Models;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Fast;

[Trait("ring", "model")]
public sealed class DecodeTests
{
    // Other orders of addition of the same float32 numbers.
    private const double Gate = 2e-5;

    // Long enough that what a key head has to read is worth more threads.
    private static int[] LongText => [.. Enumerable.Range(0, 2300).Select(i => 1 + i * 37 % 90)];

    [Theory]
    [InlineData("llama2"), InlineData("llama_bias"), InlineData("llama_linear_rope"), InlineData("mistral_sw8"), InlineData("qwen3"), InlineData("granite")]
    [InlineData("gemma"), InlineData("gemma2"), InlineData("gemma3"), InlineData("olmo2"), InlineData("phi3"), InlineData("smollm3")]
    public void Logits_of_a_continued_text_are_those_of_a_whole_pass(string name)
    {
        foreach (var engine in (EngineKind[])[EngineKind.Fast, EngineKind.Libtorch])
        {
            using var model = CausalModel.Load(Golden.Folder(name), new ModelLoadOptions { Engine = engine });
            using var decoder = new FastDecoder(model, (FastEngine)model.Engine);
            var ids = Enumerable.Range(0, 40).Select(i => 1 + i * 37 % 90).ToArray();
            // Long parts, short ones and single tokens: products panel by panel, of a few rows, of one.
            var at = 0;
            foreach (var length in (int[])[19, 1, 1, 5, 13, 1])
            {
                var logits = decoder.Next(ids[at..(at + length)]).ToArray();
                at += length;
                AssertClose(Last(model, ids[..at]), logits);
            }
            Assert.Equal(40, decoder.Length);
        }
    }

    [Theory]
    [InlineData("llama31", QuantizeKind.Nf4, true), InlineData("llama31", QuantizeKind.Nf4, false), InlineData("llama31", QuantizeKind.Int8, false),
        InlineData("llama_bf16", QuantizeKind.None, false)]
    public void Logits_of_single_tokens_from_stored_weights_are_those_of_weights_written_out(string name, QuantizeKind quantize, bool twice)
    {
        foreach (var engine in (EngineKind[])[EngineKind.Fast, EngineKind.Reference])
        {
            using var model = CausalModel.Load(Golden.Folder(name), new ModelLoadOptions { Engine = engine, Quantize = quantize, DoubleQuantize = twice });
            Assert.Contains(model.Linears, linear => linear.Weight.Resident is null && FewRows.Takes(linear.Weight, 1));
            Assert.DoesNotContain(model.Linears, linear => FewRows.Takes(linear.Weight, 20));
            using ITokenDecoder decoder = engine == EngineKind.Fast ? new FastDecoder(model, (FastEngine)model.Engine) : new ReferenceDecoder(model);
            var ids = Enumerable.Range(0, 24).Select(i => 1 + i * 37 % 90).ToArray();
            decoder.Next(ids[..20]);
            for (var at = 20; at < 24; at++) AssertClose(Last(model, ids[..(at + 1)]), decoder.Next([ids[at]]).ToArray());
        }
    }

    // Where key heads do not feed the threads, tokens and elements are cut among them: the same sums, so the same bits.
    [Theory, InlineData("llama2"), InlineData("qwen3"), InlineData("gemma2"), InlineData("mistral_sw8")]
    public void A_long_texts_next_logits_have_the_same_bits_on_any_number_of_threads(string name)
    {
        var (before, ids, expected) = (TorchSharp.torch.get_num_threads(), LongText, new List<float[]>());
        using var model = CausalModel.Load(Golden.Folder(name), new ModelLoadOptions { Engine = EngineKind.Fast });
        using var decoder = new FastDecoder(model, (FastEngine)model.Engine);
        decoder.Next(ids[..^2]);
        foreach (var threads in (int[])[1, 3, 7, 64])
        {
            TorchSharp.torch.set_num_threads(threads);
            try
            {
                decoder.Truncate(ids.Length - 2);
                for (var i = 0; i < 2; i++)
                {
                    var logits = decoder.Next([ids[ids.Length - 2 + i]]).ToArray();
                    if (threads == 1) expected.Add(logits);
                    else Assert.Equal(expected[i], logits);
                }
            }
            finally
            {
                TorchSharp.torch.set_num_threads(before);
            }
        }
        Assert.NotEqual(expected[0], expected[1]);
    }

    [Theory, InlineData(1), InlineData(2)]
    public void A_long_texts_token_is_shared_by_more_threads_than_it_has_key_heads(int texts)
    {
        using var model = CausalModel.Load(Golden.Folder("llama2"), new ModelLoadOptions { Engine = EngineKind.Fast });
        var engine = (FastEngine)model.Engine;
        FastDecoder[] decoders = [.. Enumerable.Range(0, texts).Select(_ => new FastDecoder(model, engine))];
        var logits = new float[texts * model.Config.VocabularySize];
        foreach (var decoder in decoders) decoder.Next(LongText);
        TextPart[] next = [.. decoders.Select(decoder => new TextPart(decoder, [5], decoder.Length + 1))];
        using var team = new SimulatedTeam(new TeamModel(64, 0));
        engine.Continue(next, logits);
        // Scores by blocks of 256 tokens of each key head.
        Assert.True(team.Counts.Chunks > model.Config.LayerCount * texts * model.Config.KvHeads * (LongText.Length / 256), $"{team.Counts.Chunks} chunks");
        foreach (var decoder in decoders) decoder.Dispose();
    }

    [Fact]
    public void A_dora_adapter_decodes_as_a_whole_pass_does()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Engine = EngineKind.Fast, Quantize = QuantizeKind.Nf4 });
        AdapterInjector.Inject(model, new LoraSpec { Rank = 4, Alpha = 64, UseDora = true }, 1);
        FastRun.Randomize(model);
        using var decoder = new FastDecoder(model, (FastEngine)model.Engine);
        int[] ids = [1, 17, 90, 33, 4, 6, 8];
        decoder.Next(ids[..4]);
        for (var at = 4; at < ids.Length; at++) AssertClose(Last(model, ids[..(at + 1)]), decoder.Next([ids[at]]).ToArray());
    }

    [Fact]
    public void A_text_cut_back_goes_on_as_if_the_rest_had_never_been()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Engine = EngineKind.Fast });
        using var decoder = new FastDecoder(model, (FastEngine)model.Engine);
        decoder.Next([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        decoder.Truncate(3);
        AssertClose(Last(model, [1, 2, 3, 44, 45]), decoder.Next([44, 45]).ToArray());
    }

    [Theory, InlineData(EngineKind.Auto), InlineData(EngineKind.Reference)]
    public void A_conversation_says_what_its_turns_would_say_alone(EngineKind engine)
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Engine = engine });
        var options = new SamplingOptions { MaxTokens = 6, StopIds = [] };
        using var conversation = new TextGenerator(model);
        List<int> text = [1, 17, 90, 33, 4, 6, 8, 1, 5, 9];
        for (var turn = 0; turn < 3; turn++)
        {
            using var alone = new TextGenerator(model);
            var said = conversation.Generate(text, options).ToList();
            Assert.Equal(alone.Generate(text, options), said);
            text.AddRange([.. said.Take(4), 70 + turn, 11]);
        }
        // The same text again, then a part of it: all of it is held, the last token is computed anew.
        Assert.Equal(conversation.Generate(text, options).ToList(), conversation.Generate(text, options).ToList());
        using var fresh = new TextGenerator(model);
        Assert.Equal(fresh.Generate(text[..7], options).ToList(), conversation.Generate(text[..7], options).ToList());
    }

    [Fact]
    public void An_adapter_switched_on_or_off_is_heard_in_the_next_text()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        AdapterInjector.Inject(model, new LoraSpec { Rank = 4, Alpha = 64 }, 1);
        FastRun.Randomize(model);
        using var generator = new TextGenerator(model);
        List<int> Text() => [.. generator.Generate([1, 17, 90, 33, 4], new SamplingOptions { MaxTokens = 8, StopIds = [] })];
        var adapted = Text();
        model.AdaptersEnabled = false;
        var plain = Text();
        using (var bare = CausalModel.Load(Golden.Folder("llama31")))
        using (var alone = new TextGenerator(bare))
            Assert.Equal(alone.Generate([1, 17, 90, 33, 4], new SamplingOptions { MaxTokens = 8, StopIds = [] }), plain);
        model.AdaptersEnabled = true;
        Assert.Equal(adapted, Text());
        Assert.NotEqual(plain, adapted);
    }

    private static float[] Last(CausalModel model, int[] ids)
    {
        using var logits = model.Logits(TokenBatch.OfTokens(ids));
        return logits.data<float>().ToArray()[^model.Config.VocabularySize..];
    }

    private static void AssertClose(float[] expected, float[] actual)
        => Assert.InRange(Golden.LargestDifference(expected, actual), 0, Gate * expected.Max(Math.Abs));
}
