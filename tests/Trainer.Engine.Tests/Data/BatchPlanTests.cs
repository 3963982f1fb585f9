using Trainer.Data.Batching;

namespace Trainer.Engine.Tests.Data;

[Trait("ring", "unit")]
public sealed class BatchPlanTests
{
    private static readonly int[] Mixed = [.. Enumerable.Range(0, 1000).Select(i => 3 + i * 7919 % 300)];

    private static BatchPlan Plan(int[] lengths, BatchPlanOptions options, params SourceRange[] sources) =>
        new(lengths, sources.Length > 0 ? sources : [new SourceRange(0, lengths.Length, 1)], options);

    private static int[] Epoch(BatchPlan plan, int epoch) => [.. Enumerable.Range(0, plan.MicroBatches(epoch)).SelectMany(i => plan.MicroBatch(epoch, i))];

    [Fact]
    public void Without_shuffling_rows_come_in_file_order_consecutive_rows_to_a_micro_batch()
    {
        var plan = Plan(Mixed[..7], new BatchPlanOptions { BatchSize = 2, MicroBatchesPerStep = 3, Shuffle = false });
        Assert.Equal([[0, 1], [2, 3], [4, 5]], plan.Step(0));
        Assert.Equal([[6]], plan.Step(1));
        Assert.Equal([[0, 1], [2, 3], [4, 5]], plan.Step(2));
        Assert.Equal(2, plan.Steps(0));
        Assert.Equal((1, 1), plan.Locate(3));
    }

    [Theory]
    [InlineData(1, false, false)]
    [InlineData(4, true, false)]
    [InlineData(3, false, false)]
    [InlineData(2, false, true)]
    public void Every_epoch_takes_every_row_once_in_another_order(int batchSize, bool group, bool packing)
    {
        var plan = Plan(Mixed, new BatchPlanOptions { BatchSize = batchSize, GroupByLength = group, Packing = packing, MaxSeqLength = 512 });
        var (first, second) = (Epoch(plan, 0), Epoch(plan, 1));
        Assert.Equal(Enumerable.Range(0, 1000), first.Order());
        Assert.Equal(Enumerable.Range(0, 1000), second.Order());
        Assert.NotEqual(first, second);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Any_step_is_the_same_whichever_was_asked_for_before(bool packing)
    {
        var options = new BatchPlanOptions { BatchSize = 4, MicroBatchesPerStep = 2, Packing = packing, MaxSeqLength = 512, Seed = 7 };
        var (forward, jumping) = (Plan(Mixed, options), Plan(Mixed, options));
        var total = (int)forward.TotalSteps(3);
        var all = Enumerable.Range(0, total).Select(step => forward.Step(step)).ToList();
        foreach (var step in SeededOrder.Permutation(total, 3)) Assert.Equal(all[step], jumping.Step(step));
        Assert.NotEqual(all[0], Plan(Mixed, options with { Seed = 8 }).Step(0));
    }

    [Fact]
    public void Grouped_batches_differ_little_in_length_and_ungrouped_ones_much()
    {
        var options = new BatchPlanOptions { BatchSize = 8 };
        Assert.InRange(Plan(Mixed, options).PaddingShare(0), 0, 0.05);
        Assert.InRange(Plan(Mixed, options with { GroupByLength = false }).PaddingShare(0), 0.2, 1);
    }

    [Fact]
    public void Rows_of_like_length_meet_other_rows_each_epoch()
    {
        var plan = Plan([.. Enumerable.Range(200, 1000)], new BatchPlanOptions { BatchSize = 4 });
        var (first, second) = (Batches(0), Batches(1));
        Assert.InRange(first.Intersect(second).Count(), 0, 25);
        Assert.InRange(plan.PaddingShare(0), 0, 0.05);

        HashSet<string> Batches(int epoch)
            => [.. Enumerable.Range(0, plan.MicroBatches(epoch)).Select(i => string.Join(' ', plan.MicroBatch(epoch, i).Order()))];
    }

    [Fact]
    public void Packed_bins_hold_no_more_than_the_capacity_and_waste_little()
    {
        var plan = Plan(Mixed, new BatchPlanOptions { Packing = true, MaxSeqLength = 512 });
        for (var i = 0; i < plan.MicroBatches(0); i++) Assert.InRange(plan.MicroBatch(0, i).Sum(row => Mixed[row]), 1, 512);
        Assert.InRange(plan.PackingEfficiency(0), 0.97, 1);
    }

    [Fact]
    public void Best_fit_is_as_good_as_counting_by_hand()
    {
        int[] lengths = [6, 4, 5, 5, 3, 7, 12];
        Assert.Equal([[0, 1], [2, 3], [4, 5], [6]], Packer.Pack([0, 1, 2, 3, 4, 5, 6], lengths, 10));
    }

    [Fact]
    public void A_weighted_source_is_taken_as_often_as_its_weight_and_the_rest_takes_turns()
    {
        var plan = Plan(Mixed[..14], new BatchPlanOptions(), new SourceRange(0, 4, 2.5), new SourceRange(4, 10, 0.5));
        Assert.Equal(15, plan.Rows(0));
        var (first, second) = (Epoch(plan, 0), Epoch(plan, 1));
        Assert.All(Enumerable.Range(0, 4), row => Assert.InRange(first.Count(each => each == row), 2, 3));
        Assert.Equal(Enumerable.Range(4, 10), first.Concat(second).Where(row => row >= 4).Order());
    }

    [Fact]
    public void Parts_of_epochs_are_whole_steps()
    {
        var plan = Plan(Mixed[..100], new BatchPlanOptions { BatchSize = 4, MicroBatchesPerStep = 4 });
        Assert.Equal(7, plan.Steps(0));
        Assert.Equal(7, plan.TotalSteps(1));
        Assert.Equal(11, plan.TotalSteps(1.5));
        Assert.Equal(2, plan.EpochAt(14));
    }
}
