using Trainer.Data;
using Trainer.Data.Batching;
using Trainer.Data.Rows;
using Trainer.Data.Storage;

namespace Trainer.Engine.Tests.Data;

/// <summary>Nothing grows with the rows, nothing is tokenized twice, nothing is lost or leaks unsaid.</summary>
[Trait("ring", "unit")]
public sealed class DataAtScaleTests : IDisposable
{
    private readonly DataFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static BatchPlan Plan(int rows, BatchPlanOptions options, params SourceRange[] sources)
        => new([.. Enumerable.Repeat(5, rows)], sources.Length > 0 ? sources : [new SourceRange(0, rows, 1)], options);

    private static List<int> Taken(BatchPlan plan, int epochs) =>
        [.. Enumerable.Range(0, epochs).SelectMany(epoch => Enumerable.Range(0, plan.MicroBatches(epoch)).SelectMany(i => plan.MicroBatch(epoch, i)))];

    [Theory]
    [InlineData(0.1, 1)]
    [InlineData(0.4, 4)]
    [InlineData(0.5, 5)]
    [InlineData(0.6, 6)]
    [InlineData(1.4, 14)]
    [InlineData(1.5, 15)]
    public void Fractions_of_a_weight_carry_over_from_epoch_to_epoch(double weight, int times)
    {
        foreach (var packing in new[] { false, true })
        {
            var plan = Plan(5, new BatchPlanOptions { Packing = packing, MaxSeqLength = 5 }, new SourceRange(0, 1, weight), new SourceRange(1, 4, 1));
            var taken = Taken(plan, 10);
            Assert.Equal((times, 40), (taken.Count(row => row == 0), taken.Count(row => row > 0)));
            Assert.Equal(40 + times, plan.TotalSteps(10));
            Assert.Equal(taken, Enumerable.Range(0, 40 + times).SelectMany(step => plan.Step(step)).SelectMany(batch => batch));
        }
    }

    [Fact]
    public void A_small_source_gives_each_of_its_rows_in_turn()
    {
        var plan = Plan(8, new BatchPlanOptions(), new SourceRange(0, 4, 0.1), new SourceRange(4, 4, 1));
        var small = Taken(plan, 40).Where(row => row < 4).ToList();
        Assert.Equal(16, small.Count);
        Assert.All(Enumerable.Range(0, 4), row => Assert.Equal(4, small.Count(each => each == row)));
    }

    [Theory]
    [InlineData(0.01, "less than one in the first")]
    [InlineData(1e9, "more than the")]
    public void Weights_that_make_no_epoch_are_refused(double weight, string reason) =>
        Assert.Contains(reason, Assert.Throws<DataException>(() => Plan(4, new BatchPlanOptions(), new SourceRange(0, 4, weight))).Message,
        StringComparison.Ordinal);

    [Theory]
    [InlineData(1, false)]
    [InlineData(8, false)]
    [InlineData(1, true)]
    public void A_plan_over_a_million_rows_takes_a_few_bytes_a_row(int batchSize, bool packing)
    {
        const int Rows = 1_000_000;
        var plan = Plan(Rows, new BatchPlanOptions { BatchSize = batchSize, Packing = packing, MaxSeqLength = 2048 });
        var before = GC.GetAllocatedBytesForCurrentThread();
        plan.Step(0);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 4 * Rows, (packing ? 40 : 6) * Rows);
    }

    [Fact]
    public void Repeats_are_found_however_far_apart()
    {
        using var repeats = new Repeats();
        const int Rows = 600_000; // more than one share, and more than fits in memory at once
        for (var i = 0; i < Rows; i++) repeats.Add(i == Rows - 1 ? 7u : unchecked((ulong)i * 0x9E3779B97F4A7C15), i / 1000, i, kept: true);
        repeats.Add(unchecked(3 * 0x9E3779B97F4A7C15), 9, 99, kept: true);
        repeats.Add(7, 9, 100, kept: true);
        var (count, rows) = repeats.Find(10);
        Assert.Equal(2, count);
        Assert.Equal([(9, 99L, 0, 3L), (9, 100L, 599, Rows - 1L)], rows);
        Assert.Single(repeats.Find(1).Rows);
        Assert.Equal((2L, 5L), Repeats.Among(() => Numbers(10, 20), () => Numbers(15, 17)));
        Assert.Equal((0L, -1L), Repeats.Among(() => Numbers(0, 600_000), () => Numbers(600_000, 600_010)));

        static IEnumerable<ulong> Numbers(int from, int to) => Enumerable.Range(from, to - from).Select(i => (ulong)i);
    }

    private sealed class Counting : IProgress<DataProgress>
    {
        public int Reports;
        public void Report(DataProgress value) => Interlocked.Increment(ref Reports);
    }

    [Fact]
    public async Task Of_two_starts_at_once_one_tokenizes_and_the_other_waits_for_it()
    {
        var rows = string.Concat(Enumerable.Range(0, 20_000).Select(i => $"{{\"text\": \"row {i}\"}}\n"));
        var options = DataFolder.Options(_folder.Write("a.jsonl", rows)) with { CacheDirectory = Path.Combine(_folder.Path, "cache") };
        var both = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => Task.Run(() =>
        {
            var progress = new Counting();
            using var set = DatasetBuilder.Build(options, new TextTools(new CharTokenizer()), progress);
            return (set.Train.Count, set.Statistics.FromCache, Tokenized: progress.Reports > 0);
        })));
        Assert.All(both, each => Assert.Equal(20_000, each.Count));
        Assert.Equal([false, true], both.Select(each => each.FromCache).Order());
        Assert.Single(both, each => each.Tokenized);
        Assert.Single(Directory.GetFiles(options.CacheDirectory));
    }

    [Fact]
    public void A_cache_that_nobody_asked_for_in_a_month_goes_and_one_in_use_stays()
    {
        var options = DataFolder.Options(_folder.Write("a.jsonl", "{\"text\": \"a\"}\n")) with { CacheDirectory = Path.Combine(_folder.Path, "cache") };
        DataFolder.Build(options).Dispose();
        var first = Directory.GetFiles(options.CacheDirectory!).Single();
        File.SetLastWriteTimeUtc(first, DateTime.UtcNow.AddDays(-31));
        using var inUse = DataFolder.Build(options);
        Assert.InRange(File.GetLastWriteTimeUtc(first), DateTime.UtcNow.AddHours(-1), DateTime.MaxValue);
        File.SetLastWriteTimeUtc(first, DateTime.UtcNow.AddDays(-31));
        DataFolder.Build(options with { MaxSeqLength = 100 }).Dispose();
        Assert.False(File.Exists(first));
        Assert.Equal("<s>a</s>", DataFolder.Text(inUse.Train[0].InputIds));
    }

    [Fact]
    public void Without_a_cache_the_tokens_are_kept_in_memory_and_it_is_said()
    {
        var path = _folder.Write("a.jsonl", "{\"text\": \"a\"}\n");
        using var set = DataFolder.Build(DataFolder.Options(path) with { CacheDirectory = path });
        Assert.Contains("kept in memory", Assert.Single(set.Notes), StringComparison.Ordinal);
    }

    [Fact]
    public void Held_out_rows_that_are_trained_on_are_told()
    {
        var train = _folder.Write("a.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n{\"text\": \"c\"}\n");
        var eval = _folder.Write("b.jsonl", "{\"text\": \"x\"}\n{\"text\": \"b\"}\n");
        var options = DataFolder.Options(train) with { Eval = [new DataSource(eval)] };
        using var set = DataFolder.Build(options);
        Assert.Contains("1 of 2 held-out rows are training rows too", Assert.Single(set.Notes), StringComparison.Ordinal);
        Assert.Contains("b.jsonl:2", set.Notes[0], StringComparison.Ordinal);
        Assert.Equal(set.Notes, DataInspector.Check(options, new TextTools(new CharTokenizer())).Notes);
        using var same = DataFolder.Build(options with { Eval = [new DataSource(train)] });
        Assert.Contains("every held-out row is a training row too", Assert.Single(same.Notes), StringComparison.Ordinal);
        using var other = DataFolder.Build(options with { Eval = [new DataSource(train) { Split = "[:2]" }],
            Train = [new DataSource(train) { Split = "[2:]" }] });
        Assert.Empty(other.Notes);
        using var split = DataFolder.Build(DataFolder.Options(_folder.Write("c.jsonl",
            string.Concat(Enumerable.Repeat("{\"text\": \"a\"}\n", 8)))) with { EvalSplit = 2 });
        Assert.Single(split.Notes);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(0.4)]
    public void A_check_tells_the_leak_of_the_rows_that_a_run_would_hold_out(double share)
    {
        var long5 = new string('x', 60);
        var texts = new[] { "a", "b", long5, "c", "a", "d", "b", "e", long5, "f", "g", "h" };
        var options = DataFolder.Options(_folder.Write("a.jsonl", string.Concat(texts.Select(text => $"{{\"text\": \"{text}\"}}\n")))) with
        {
            EvalSplit = share, MaxSeqLength = 20, OnTooLong = OnTooLong.Drop,
        };
        using var run = DataFolder.Build(options);
        var told = DataInspector.Check(options, new TextTools(new CharTokenizer())).Notes;
        Assert.Equal(run.Notes.Where(note => note.Contains("held-out", StringComparison.Ordinal)), told);
        Assert.Single(told);
    }

    /// <summary>What a check says must be what a run does.</summary>
    [Theory]
    [InlineData("{\"text\": \"a\"}\n", "nonsense\n", 0)]
    [InlineData("{\"text\": \"a\"}\n", "", 0)]
    [InlineData("{\"text\": \"a\", \"weight\": 0}\n", null, 0)]
    [InlineData("{\"text\": \"a\"}\n{\"text\": \"b\"}\n", null, 5)]
    [InlineData("{\"text\": \"a\"}\n{\"text\": \"b\"}\n", "{\"text\": \"c\", \"weight\": 0}\n", 0)]
    [InlineData("{\"text\": \"a\"}\n{\"text\": \"b\"}\n", null, 1)]
    public void A_check_refuses_what_a_run_refuses(string train, string? valid, double split)
    {
        _folder.Write("train.jsonl", train);
        if (valid is not null) _folder.Write("valid.jsonl", valid);
        var options = DataFolder.Options(_folder.Path) with { EvalSplit = split };
        DataException? refused = null;
        try
        {
            DataFolder.Build(options).Dispose();
        }
        catch (DataException fault)
        {
            refused = fault;
        }
        Assert.Equal(refused is null, DataInspector.Check(options, new TextTools(new CharTokenizer())).Usable);
    }
}
