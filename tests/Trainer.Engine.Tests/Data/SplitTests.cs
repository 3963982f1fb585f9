using Trainer.Data;
using Trainer.Data.Batching;

namespace Trainer.Engine.Tests.Data;

[Trait("ring", "unit")]
public sealed class SplitTests : IDisposable
{
    private readonly DataFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_single_document_is_held_out_from_its_end()
    {
        var options = DataFolder.Options(_folder.Write("a.txt", new string('a', 500) + new string('b', 498))) with { MaxSeqLength = 100, EvalSplit = 0.2 };
        using var set = DataFolder.Build(options);
        Assert.Equal((8, 2), (set.Train.Count, set.Eval!.Count));
        Assert.EndsWith("b</s>", DataFolder.Text(set.Eval[1].InputIds), StringComparison.Ordinal);
        Assert.StartsWith("<s>a", DataFolder.Text(set.Train[0].InputIds), StringComparison.Ordinal);
    }

    [Fact]
    public void Parts_of_one_row_are_held_out_together()
    {
        var rows = string.Concat(Enumerable.Range(0, 10).Select(_ => $"{{\"text\": \"{new string('x', 250)}\"}}\n"));
        using var set = DataFolder.Build(DataFolder.Options(_folder.Write("a.jsonl", rows)) with { MaxSeqLength = 100, OnTooLong = OnTooLong.Split,
            EvalSplit = 2 });
        Assert.Equal((24, 6), (set.Train.Count, set.Eval!.Count));
        Assert.Empty(Lines(set.Train).Intersect(Lines(set.Eval)));

        static IEnumerable<long> Lines(ExampleSet part) => Enumerable.Range(0, part.Count).Select(i => part.Source(i).Line);
    }

    [Fact]
    public void A_split_that_would_leave_nothing_to_train_on_is_refused() =>
        Assert.Contains("leave none to train on", Assert.Throws<DataException>(() =>
            DataFolder.Build(DataFolder.Options(_folder.Write("a.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n")) with { EvalSplit = 2 })).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Sources_are_mixed_by_their_weights_and_the_mean_weight_follows()
    {
        var first = _folder.Write("a.jsonl", "{\"text\": \"a\", \"weight\": 4}\n");
        var second = _folder.Write("b.jsonl", "{\"text\": \"b\"}\n{\"text\": \"c\"}\n");
        using var set = DataFolder.Build(new DataOptions { Train = [new DataSource(first, 3), new DataSource(second)] });
        Assert.Equal([new SourceRange(0, 1, 3), new SourceRange(1, 2, 1)], set.Train.Sources);
        Assert.Equal(14 / 5f, set.Train.MeanWeight);
        Assert.Equal(5, new BatchPlan(set.Train, new BatchPlanOptions()).Rows(0));
    }
}
