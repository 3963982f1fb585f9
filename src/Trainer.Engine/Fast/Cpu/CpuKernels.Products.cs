using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast.Cpu;

internal sealed unsafe partial class CpuKernels
{
    public void TimesTransposed(long m, long n, long k, float alpha, Place a, long lda, Place b, long ldb, float beta, Place c, long ldc)
        => Gemm.TimesTransposed(m, n, k, alpha, Floats(a), lda, Floats(b), ldb, beta, Floats(c), ldc);

    public void Times(long m, long n, long k, float alpha, Place a, long lda, Place b, long ldb, float beta, Place c, long ldc)
        => Gemm.Times(m, n, k, alpha, Floats(a), lda, Floats(b), ldb, beta, Floats(c), ldc);

    public void TransposedTimes(long m, long n, long k, float alpha, Place a, long lda, Place b, long ldb, float beta, Place c, long ldc)
        => Gemm.TransposedTimes(m, n, k, alpha, Floats(a), lda, Floats(b), ldb, beta, Floats(c), ldc);

    public void FrozenProduct(PassMemory room, IFrozenWeight weight, bool isHead, Place x, long rows, Place y, long stride, float factor)
    {
        var target = Floats(y);
        if (!(room.Layout.IsOfTexts ? FewRows.TakesOfTexts(weight, rows) : FewRows.Takes(weight, rows)))
        {
            (isHead ? _exact : _products).Forward(ProductRoom.Of(room), weight, Floats(x), rows, target, stride, factor);
            return;
        }
        FewRows.Product(weight, Floats(x), rows, target, stride);
        if (factor == 1f) return;
        ComputeThreads.For(0, weight.Rows, Grain, (begin, end) =>
        {
            for (long t = 0; t < rows; t++)
                for (var i = t * stride + begin; i < t * stride + end; i++) target[i] *= factor;
        });
    }

    public void FrozenInputGradient(PassMemory room, IFrozenWeight weight, bool isHead, Place dy, long stride, long rows, Place dx, bool add, float factor)
        => (isHead ? _headGradient : _products).InputGradient(ProductRoom.Of(room), weight, Floats(dy), stride, rows, Floats(dx), add, factor);

    // As many rows at a time as the products write out.
    public void RowNorms(PassMemory room, IFrozenWeight weight, Place upper, Place lower, long rank, float scale, Place norms)
    {
        var wide = weight.Columns;
        float* written = Floats(room.Floats(BufferId.WrittenRows)), target = Floats(norms);
        foreach (var (at, count) in _panels.Parts(weight, _panels.Rows(weight, room.Layout.Tokens)))
        {
            weight.Materialize(at, count, written);
            Gemm.Times(count, wide, rank, scale, Floats(upper) + at * rank, rank, Floats(lower), wide, 1f, written, wide);
            ComputeThreads.For(0, count, 16, (begin, end) =>
            {
                for (var i = begin; i < end; i++) target[at + i] = MathF.Sqrt(Arithmetic.Dot(written + i * wide, written + i * wide, (int)wide));
            });
        }
    }
}
