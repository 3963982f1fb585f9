using TorchSharp;
using Trainer.Engine.Fast.Cpu;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Weights;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast.Libtorch;

internal sealed partial class TorchKernels
{
    // 64 MiB of float32: most matrices whole, since each part costs launches.
    internal const long PartElements = 1 << 24;

    public void TimesTransposed(long m, long n, long k, float alpha, Place a, long lda, Place b, long ldb, float beta, Place c, long ldc)
    {
        if (m == 0 || n == 0) return;
        using var scope = NewDisposeScope();
        Rows(c, m, n, ldc).addmm_(Rows(a, m, k, lda), Rows(b, n, k, ldb).t(), beta, alpha);
    }

    public void Times(long m, long n, long k, float alpha, Place a, long lda, Place b, long ldb, float beta, Place c, long ldc)
    {
        if (m == 0 || n == 0) return;
        using var scope = NewDisposeScope();
        Rows(c, m, n, ldc).addmm_(Rows(a, m, k, lda), Rows(b, k, n, ldb), beta, alpha);
    }

    public void TransposedTimes(long m, long n, long k, float alpha, Place a, long lda, Place b, long ldb, float beta, Place c, long ldc)
    {
        if (m == 0 || n == 0) return;
        using var scope = NewDisposeScope();
        Rows(c, m, n, ldc).addmm_(Rows(a, k, m, lda).t(), Rows(b, k, n, ldb), beta, alpha);
    }

    public void FrozenProduct(PassMemory room, IFrozenWeight weight, bool isHead, Place x, long rows, Place y, long stride, float factor)
    {
        foreach (var (begin, count) in Parts(room, weight))
        {
            using var scope = NewDisposeScope();
            // Logits are float32 in any compute type.
            var isNarrow = _isNarrow && !isHead;
            var (left, right, result) = (Rows(x, rows, weight.Columns), Panel(weight, begin, count, isNarrow).t(), Rows(y + begin, rows, count, stride));
            if (isNarrow) result.copy_(Narrow(left, right).mul_(factor));
            else result.addmm_(left, right, 0f, factor);
        }
    }

    public void FrozenInputGradient(PassMemory room, IFrozenWeight weight, bool isHead, Place dy, long stride, long rows, Place dx, bool add, float factor)
    {
        foreach (var (begin, count) in Parts(room, weight))
        {
            using var scope = NewDisposeScope();
            var (left, right, result) = (Rows(dy + begin, rows, count, stride), Panel(weight, begin, count, _isNarrow), Rows(dx, rows, weight.Columns));
            var isFirst = begin == 0 && !add;
            if (!_isNarrow) result.addmm_(left, right, isFirst ? 0f : 1f, factor);
            else if (isFirst) result.copy_(Narrow(left, right).mul_(factor));
            else result.add_(Narrow(left, right), factor);
        }
    }

    public void RowNorms(PassMemory room, IFrozenWeight weight, Place upper, Place lower, long rank, float scale, Place norms)
    {
        foreach (var (begin, count) in Parts(room, weight))
        {
            using var scope = NewDisposeScope();
            var sum = Panel(weight, begin, count, isNarrow: false).addmm(Rows(upper + begin * rank, count, rank), Rows(lower, rank, weight.Columns), 1f, scale);
            Row(norms + begin, count).copy_(sum.square().sum([1]).sqrt());
        }
    }

    private IEnumerable<(long Begin, long Count)> Parts(PassMemory room, IFrozenWeight weight)
        => _panels.Parts(weight, PanelPlan.RowsOf(weight.Rows, weight.Columns, room.Layout.Tokens, PartElements));

    // Rows of a frozen matrix on the device.
    private Tensor Panel(IFrozenWeight weight, long begin, long count, bool isNarrow)
        => _weights.Rows(weight, begin, count, isNarrow ? ScalarType.BFloat16 : ScalarType.Float32);

    // Operands are rounded to bfloat16 once, and so is the result.
    private static Tensor Narrow(Tensor left, Tensor right) => left.to(ScalarType.BFloat16).mm(right).to(ScalarType.Float32);
}
