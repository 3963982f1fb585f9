using Trainer.Engine.Weights;

namespace Trainer.Engine.Fast.Operations;

/// <summary>Matrix products.</summary>
internal interface IProductKernels
{
    /// <summary>c (m, n) = alpha a (m, k) b (n, k)^T + beta c.</summary>
    void TimesTransposed(long m, long n, long k, float alpha, Place a, long lda, Place b, long ldb, float beta, Place c, long ldc);

    /// <summary>c (m, n) = alpha a (m, k) b (k, n) + beta c.</summary>
    void Times(long m, long n, long k, float alpha, Place a, long lda, Place b, long ldb, float beta, Place c, long ldc);

    /// <summary>c (m, n) = alpha a (k, m)^T b (k, n) + beta c.</summary>
    void TransposedTimes(long m, long n, long k, float alpha, Place a, long lda, Place b, long ldb, float beta, Place c, long ldc);

    /// <summary>y = factor x W^T with a frozen matrix, in the compute type of the model.</summary>
    /// <param name="room">Scratch.</param>
    /// <param name="weight">W (out, in).</param>
    /// <param name="isHead">Whether it is the head's, whose logits are float32 in any compute type.</param>
    /// <param name="x">(rows, in), dense.</param>
    /// <param name="rows">Rows of x.</param>
    /// <param name="y">(rows, out).</param>
    /// <param name="stride">Floats from a row of y to the next.</param>
    /// <param name="factor">Multiplier.</param>
    void FrozenProduct(PassMemory room, IFrozenWeight weight, bool isHead, Place x, long rows, Place y, long stride, float factor);

    /// <summary>dx = factor dy W with a frozen matrix, or that added.</summary>
    /// <param name="room">Scratch.</param>
    /// <param name="weight">W (out, in).</param>
    /// <param name="isHead">Whether it is the head's.</param>
    /// <param name="dy">(rows, out).</param>
    /// <param name="stride">Floats from a row of dy to the next.</param>
    /// <param name="rows">Rows of dy.</param>
    /// <param name="dx">(rows, in), dense.</param>
    /// <param name="add">Adds to what dx holds.</param>
    /// <param name="factor">Multiplier.</param>
    void FrozenInputGradient(PassMemory room, IFrozenWeight weight, bool isHead, Place dy, long stride, long rows, Place dx, bool add, float factor);

    /// <summary>|W + scale B A| of each row of a frozen matrix with a low-rank update.</summary>
    /// <param name="room">Scratch.</param>
    /// <param name="weight">W (out, in).</param>
    /// <param name="upper">B (out, rank).</param>
    /// <param name="lower">A (rank, in).</param>
    /// <param name="rank">Rank of the update.</param>
    /// <param name="scale">Multiplier of the update.</param>
    /// <param name="norms">(out).</param>
    void RowNorms(PassMemory room, IFrozenWeight weight, Place upper, Place lower, long rank, float scale, Place norms);
}
