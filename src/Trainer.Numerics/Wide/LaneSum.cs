namespace Trainer.Numerics.Wide;

/// <summary>The scalar counterpart of <see cref="ILanes{TSelf}.Sum"/>: sixteen sums, lane = index mod 16, added at distance 8, 4, 2, 1.</summary>
internal static unsafe class LaneSum
{
    internal static float Of(float* lanes)
    {
        for (var span = 8; span > 0; span /= 2)
            for (var lane = 0; lane < span; lane++) lanes[lane] += lanes[lane + span];
        return lanes[0];
    }
}
