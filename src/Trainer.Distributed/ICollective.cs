namespace Trainer.Distributed;

/// <summary>The ranks of a run, and the one operation a step needs: an elementwise sum over all of them.</summary>
public interface ICollective : IDisposable
{
    /// <summary>This process, from 0.</summary>
    int Rank { get; }

    /// <summary>How many processes take part.</summary>
    int Size { get; }

    /// <summary>Replaces all values by their sums over all ranks, in rank order, so that every rank holds the same bits. Once a step.</summary>
    /// <param name="values">The flat gradient; the same length on every rank.</param>
    /// <param name="riders">A few numbers that travel with it: the loss, metrics, whether a rank was asked to stop. The same length on every rank.</param>
    void Sum(Span<float> values, Span<double> riders);
}
