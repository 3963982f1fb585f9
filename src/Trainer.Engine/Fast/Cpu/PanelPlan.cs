using Trainer.Engine.Fast.Streaming;
using Trainer.Engine.Weights;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>How frozen matrices are cut into panels of rows that are written out one at a time.</summary>
/// <param name="elements">Aim, in elements of the matrix.</param>
internal sealed class PanelPlan(long elements = PanelPlan.Elements)
{
    // Measured at 512 tokens: panels of 4 MiB run at 0.95 of the product ceiling, of 16 MiB at 0.93, whole matrices at 0.90.
    // A panel needs some hundred rows where x is long, since the BLAS packs x anew for each.
    internal const long Elements = 1 << 20;
    private const long ShortBatch = 128;
    private const long LeastRows = 512;
    private const long LeastRowsOfShortBatch = 128;

    /// <summary>Told of each panel of a head that does not stay in memory.</summary>
    public HeadPages? HeadPages { get; set; }

    /// <summary>Rows a panel; a multiple of 64, so that a panel starts at a block of any 4-bit matrix.</summary>
    /// <param name="weight">The matrix.</param>
    /// <param name="tokens">Rows of the activations.</param>
    public long Rows(IFrozenWeight weight, long tokens) => Rows(weight.Rows, weight.Columns, tokens);

    /// <summary>The same of a matrix that is known by its sizes alone.</summary>
    public long Rows(long rows, long columns, long tokens) => RowsOf(rows, columns, tokens, elements);

    /// <summary>The same for an aim in elements.</summary>
    public static long RowsOf(long rows, long columns, long tokens, long elements)
    {
        var least = tokens <= ShortBatch ? LeastRowsOfShortBatch : LeastRows;
        return Math.Min(rows, Math.Max(least, elements / columns / 64 * 64));
    }

    /// <summary>The parts of a matrix in order; a head that does not stay in memory is told of each before it is used.</summary>
    /// <param name="weight">The matrix.</param>
    /// <param name="rows">Rows a part.</param>
    public IEnumerable<(long Begin, long Count)> Parts(IFrozenWeight weight, long rows)
    {
        for (long begin = 0; begin < weight.Rows; begin += rows)
        {
            var count = Math.Min(rows, weight.Rows - begin);
            if (HeadPages is { } pages && pages.Covers(weight)) pages.Enter(begin, count);
            yield return (begin, count);
        }
    }
}
