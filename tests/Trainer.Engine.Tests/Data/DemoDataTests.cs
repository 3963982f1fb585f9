using Trainer.Data;

namespace Trainer.Engine.Tests.Data;

/// <summary>What a fresh clone trains on.</summary>
[Trait("ring", "unit")]
public sealed class DemoDataTests
{
    private static string Configs(string name)
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Trainer.sln"))) folder = Path.GetDirectoryName(folder)!;
        return Path.Combine(folder, "configs", name);
    }

    [Fact]
    public void The_demo_trains_the_answers_and_holds_out_its_valid_split()
    {
        var text = ModelText.Load(Configs("tiny-model"));
        using var set = DatasetBuilder.Build(DataFolder.Options(Configs("demo")) with { MaxSeqLength = 256 }, text);
        Assert.Equal((File.ReadAllLines(Configs("demo/train.jsonl")).Length, File.ReadAllLines(Configs("demo/valid.jsonl")).Length),
            (set.Train.Count, set.Eval!.Count));
        Assert.Equal(0, set.Statistics.EmptyAnswers);
        for (var i = 0; i < set.Train.Count; i += 50)
        {
            var trained = text.Tokenizer!.Decode(set.Train[i].Labels.Where(label => label != Example.IgnoredLabel).ToArray(), skipSpecialTokens: false);
            Assert.StartsWith("Arr!", trained, StringComparison.Ordinal);
            Assert.EndsWith("<|im_end|>", trained, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Ids_beyond_the_model_s_vocabulary_are_refused()
    {
        var text = ModelText.Load(Configs("tiny-model"), vocabularySize: 10);
        var fault = Assert.Throws<DataException>(() => DatasetBuilder.Build(DataFolder.Options(Configs("demo/valid.jsonl")), text));
        Assert.Contains("outside the model's vocabulary of 10", fault.Message, StringComparison.Ordinal);
    }
}
