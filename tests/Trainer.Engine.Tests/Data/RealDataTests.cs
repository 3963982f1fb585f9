using Trainer.Data;
using Trainer.Tokenizers;

namespace Trainer.Engine.Tests.Data;

/// <summary>Sets as people have them, where they lie beside the repository.</summary>
[Trait("ring", "model")]
public sealed class RealDataTests
{
    private static readonly Lazy<HfTokenizer> Tokenizer = new(() => HfTokenizer.Load(Shared("models/stories260K")));

    private static string Shared(string path)
    {
        var folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "Trainer.sln"))) folder = Path.GetDirectoryName(folder);
        var full = Path.GetFullPath(Path.Combine(folder ?? "", "..", "shared", path));
        Skip.IfNot(File.Exists(full) || Directory.Exists(full), $"'../shared/{path}' is not here");
        return full;
    }

    private static DataOptions Options(string path, params (string, string)[] columns) => new()
    {
        Train = [new DataSource(Shared(path), 1, columns.Length == 0 ? null : columns.ToDictionary(each => each.Item1, each => each.Item2))],
    };

    private static Dataset Build(DataOptions options) => DatasetBuilder.Build(options, Tokenizer.Value);

    [SkippableTheory]
    [InlineData("data/wikisql-mlx", 1000, 100)]
    [InlineData("data/tinystories-sample", 2116, 200)]
    public void A_folder_of_text_reads_with_its_held_out_split(string path, int train, int eval)
    {
        using var set = Build(Options(path));
        Assert.Equal((train, (long)eval), (set.Train.Count, set.EvalStatistics!.Rows));
        Assert.Equal(set.Train.Tokens - train, set.Train.TrainedTokens);
    }

    [SkippableFact]
    public void Gsm8k_reads_by_a_mapping_and_says_which_without_one()
    {
        using var set = Build(Options("data/gsm8k", ("prompt", "question"), ("completion", "answer")));
        Assert.Equal(7473, set.Train.Count);
        Assert.InRange(set.Train.TrainedTokens, 1, set.Train.Tokens / 2 + set.Train.Tokens / 4);
        Assert.Contains("prompt: question, completion: answer", Assert.Throws<DataException>(() => Build(Options("data/gsm8k"))).Message, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void Plain_text_reads_as_documents_in_windows()
    {
        using var play = Build(Options("data/tinyshakespeare/input.txt") with { MaxSeqLength = 512 });
        Assert.Equal(1, play.Statistics.Rows);
        Assert.True(play.Train.Count > 500);
        using var stories = Build(Options("data/tinystories-sample/tinystories_sample.txt"));
        Assert.True(stories.Train.Count > 2300);
    }

    [SkippableFact]
    public void Alpaca_without_a_template_uses_the_alpaca_prompt()
    {
        using var set = Build(Options("data/llamafactory-demo/identity.json"));
        Assert.Equal(91, set.Train.Count);
    }

    [SkippableFact]
    public void Web_text_reads()
    {
        using var set = Build(Options("data/llamafactory-demo/c4_demo.jsonl") with { OnTooLong = OnTooLong.Split });
        Assert.Equal(300, set.Statistics.Rows);
    }

    [SkippableTheory]
    [InlineData("data/wikisql-mlx", "", "")]
    [InlineData("data/gsm8k", "question", "answer")]
    public void Grouped_batches_waste_less_than_a_twentieth(string path, string prompt, string completion)
    {
        using var set = Build(prompt.Length == 0 ? Options(path) : Options(path, ("prompt", prompt), ("completion", completion)));
        foreach (var batchSize in new[] { 2, 4, 8, 16 })
            for (var epoch = 0; epoch < 3; epoch++)
                Assert.InRange(new BatchPlan(set.Train, new BatchPlanOptions { BatchSize = batchSize }).PaddingShare(epoch), 0, 0.05);
        Assert.InRange(new BatchPlan(set.Train, new BatchPlanOptions { Packing = true }).PackingEfficiency(0), 0.95, 1);
    }
}
