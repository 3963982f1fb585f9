using Trainer.Data;

namespace Trainer.Engine.Tests.Data;

[Trait("ring", "unit")]
public class MicroBatchTests
{
    [Fact]
    public void Rows_laid_one_behind_the_other_predict_nothing_of_each_other_and_count_from_0_each()
    {
        // Every label of the second row is trained, its first too: nothing before it may predict it.
        var batch = MicroBatch.From([new([3, 4, 5], [-100, 4, 5], 2, new("a", 1)), new([6, 7], [6, 7], 1, new("a", 2))], 4);
        Assert.Equal([3, 4, 5, 6, 7], batch.TokenIds);
        Assert.Equal([4, 5, -100, 7, -100], batch.Targets);
        Assert.Equal([0, 1, 2, 0, 1], batch.Positions);
        Assert.Equal([0, 3, 5], batch.SegmentStarts);
        Assert.Equal([0.5f, 0.25f], batch.SegmentWeights);
        Assert.Equal(3, batch.TrainedTokens);
    }

    [Fact]
    public void A_token_that_stands_for_no_text_is_not_trained_even_within_a_trained_range()
    {
        var row = Trainer.Data.Rows.EncodedRow.Mask("abc", [5, 6, 7, 8], [(0, 1), (1, 1), (1, 2), (2, 3)], [(0, 2)]);
        Assert.Equal([5, -100, 7, -100], row.Labels);
    }
}
