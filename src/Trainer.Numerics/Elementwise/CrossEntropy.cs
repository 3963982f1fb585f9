using Trainer.Numerics.Wide;

namespace Trainer.Numerics.Elementwise;

/// <summary>Softmax cross entropy of rows of logits: loss per row and, in place, the gradient.</summary>
/// <remarks>
/// <code>
/// loss = log(sum exp(z - max)) + max - z[target];   z := factor (softmax(z) - onehot(target))
/// </code>
/// Exponentials are summed in fp32 over 1024 columns (sixteen lanes) and these sums in double: a vocabulary of 128256 costs no accuracy.
/// </remarks>
public static unsafe class CrossEntropy
{
    private const int Run = 1024;

    /// <summary>Rows [begin, end): loss, and the gradient over the logits where factors are given.</summary>
    /// <param name="logits">(rows, vocabulary); overwritten (with the gradient, or with exponentials where <paramref name="factors"/> is null).</param>
    /// <param name="vocabulary">Columns.</param>
    /// <param name="targets">(rows): the column each row must predict.</param>
    /// <param name="factors">(rows): what multiplies the gradient (weight times loss scale), or null for the loss alone.</param>
    /// <param name="losses">(rows): unweighted loss in nats.</param>
    /// <param name="begin">First row.</param>
    /// <param name="end">One past the last row.</param>
    public static void Rows(float* logits, int vocabulary, int* targets, float* factors, double* losses, long begin, long end)
        => Rows(Kernels.Width, logits, vocabulary, targets, factors, losses, begin, end);

    internal static void Rows(KernelWidth width, float* logits, int vocabulary, int* targets, float* factors, double* losses, long begin, long end)
    {
        for (var row = begin; row < end; row++)
        {
            var z = logits + row * vocabulary;
            var target = targets[row];
            var targetLogit = z[target];
            double sum;
            float largest;
            switch (width)
            {
                case KernelWidth.Vector512: sum = Exponentials<Lanes512>(z, vocabulary, out largest); break;
                case KernelWidth.Vector256: sum = Exponentials<Lanes256>(z, vocabulary, out largest); break;
                case KernelWidth.Vector128: sum = Exponentials<Lanes128>(z, vocabulary, out largest); break;
                default: sum = Exponentials(z, vocabulary, out largest); break;
            }
            losses[row] = Math.Log(sum) + ((double)largest - targetLogit);
            if (factors == null) continue;
            Scale(width, z, vocabulary, (float)(factors[row] / sum));
            z[target] -= factors[row];
        }
    }

    /// <summary>The specification: z := exp(z - max); returns the sum.</summary>
    private static double Exponentials(float* z, int n, out float largest)
    {
        largest = z[0];
        for (var i = 1; i < n; i++) largest = z[i] > largest ? z[i] : largest;
        var lanes = stackalloc float[16];
        double total = 0;
        for (var begin = 0; begin < n; begin += Run)
        {
            for (var lane = 0; lane < 16; lane++) lanes[lane] = 0f;
            for (var i = begin; i < Math.Min(begin + Run, n); i++)
            {
                z[i] = Exponential.Of(z[i] - largest);
                lanes[i % 16] += z[i];
            }
            total += LaneSum.Of(lanes);
        }
        return total;
    }

    private static double Exponentials<T>(float* z, int n, out float largest) where T : struct, ILanes<T>
    {
        var i = 0;
        largest = z[0];
        if (n >= 16)
        {
            var most = T.Load(z);
            for (i = 16; i + 16 <= n; i += 16) most = T.Larger(T.Load(z + i), most);
            largest = most.Largest();
        }
        for (; i < n; i++) largest = z[i] > largest ? z[i] : largest;
        var shift = T.Create(largest);
        var lanes = stackalloc float[16];
        double total = 0;
        for (var begin = 0; begin < n; begin += Run)
        {
            var end = Math.Min(begin + Run, n);
            var sum = T.Create(0f);
            for (i = begin; i + 16 <= end; i += 16)
            {
                var value = Exponential.Of(T.Load(z + i) - shift);
                value.Store(z + i);
                sum += value;
            }
            sum.Store(lanes);
            for (; i < end; i++)
            {
                z[i] = Exponential.Of(z[i] - largest);
                lanes[i % 16] += z[i];
            }
            total += LaneSum.Of(lanes);
        }
        return total;
    }

    private static void Scale(KernelWidth width, float* z, int n, float factor)
    {
        switch (width)
        {
            case KernelWidth.Vector512: Scale<Lanes512>(z, n, factor); break;
            case KernelWidth.Vector256: Scale<Lanes256>(z, n, factor); break;
            case KernelWidth.Vector128: Scale<Lanes128>(z, n, factor); break;
            default:
                for (var i = 0; i < n; i++) z[i] *= factor;
                break;
        }
    }

    private static void Scale<T>(float* z, int n, float factor) where T : struct, ILanes<T>
    {
        var i = 0;
        var factors = T.Create(factor);
        for (; i + 16 <= n; i += 16) (T.Load(z + i) * factors).Store(z + i);
        for (; i < n; i++) z[i] *= factor;
    }
}
