namespace Trainer.Distributed;

/// <summary>The ranks of a run, and the one operation the loop needs: an elementwise sum over all of them.</summary>
public interface ICollective : IDisposable
{
    /// <summary>This process, from 0.</summary>
    int Rank { get; }

    /// <summary>How many processes take part.</summary>
    int Size { get; }

    /// <summary>Replaces the values by their sum over all ranks, in rank order, so that every rank holds the same bits.</summary>
    void Sum(Span<float> values);

    /// <summary>As <see cref="Sum(Span{float})"/> for counts and losses.</summary>
    void Sum(Span<double> values);
}
