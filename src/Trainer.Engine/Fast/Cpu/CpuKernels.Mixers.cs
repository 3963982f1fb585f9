using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast.Cpu;

internal sealed unsafe partial class CpuKernels
{
    public void MultiplyRows(Place a, long aStride, Place b, long bStride, Place y, long yStride, long rows, long width)
    {
        float* first = Floats(a), second = Floats(b), to = Floats(y);
        ComputeThreads.For(0, rows, RowGrain, (begin, end) =>
        {
            for (var t = begin; t < end; t++) Arithmetic.Product(first + t * aStride, second + t * bStride, to + t * yStride, 0, width);
        });
    }

    // Channels are split among threads; the taps of a channel lie side by side, so they are turned into rows first.
    public void Convolve(Place x, Place before, Place weight, Place bias, int[] starts, int channels, int taps, Place y)
    {
        float* from = Floats(x), earlier = Floats(before), added = Floats(bias), to = Floats(y);
        var turned = Turned(weight, channels, taps);
        ComputeThreads.For(0, channels, ColumnGrain, (begin, end) =>
        {
            fixed (float* rows = turned)
            {
                for (var s = 0; s + 1 < starts.Length; s++)
                {
                    for (var t = starts[s]; t < starts[s + 1]; t++)
                    {
                        var target = to + (long)t * channels;
                        if (added == null) new Span<float>(target + begin, (int)(end - begin)).Clear();
                        else new Span<float>(added + begin, (int)(end - begin)).CopyTo(new Span<float>(target + begin, (int)(end - begin)));
                        for (var j = 0; j < taps; j++)
                        {
                            var at = t - taps + 1 + j;
                            var source = at >= starts[s] ? from + (long)at * channels
                                : earlier == null ? null : earlier + (long)(at - starts[s] + taps - 1) * channels;
                            if (source != null) Arithmetic.AddProduct(target, rows + (long)j * channels, source, target, begin, end);
                        }
                    }
                }
            }
        });
    }

    public void ConvolveBackward(Place dy, Place weight, int[] starts, int channels, int taps, Place dx)
    {
        float* from = Floats(dy), to = Floats(dx);
        var turned = Turned(weight, channels, taps);
        ComputeThreads.For(0, channels, ColumnGrain, (begin, end) =>
        {
            fixed (float* rows = turned)
            {
                for (var s = 0; s + 1 < starts.Length; s++)
                {
                    for (var t = starts[s]; t < starts[s + 1]; t++)
                    {
                        var target = to + (long)t * channels;
                        new Span<float>(target + begin, (int)(end - begin)).Clear();
                        for (var j = 0; j < taps; j++)
                        {
                            var at = t + taps - 1 - j;
                            if (at < starts[s + 1]) Arithmetic.AddProduct(target, rows + (long)j * channels, from + (long)at * channels, target, begin, end);
                        }
                    }
                }
            }
        });
    }

    private static float[] Turned(Place weight, int channels, int taps)
    {
        var (from, turned) = ((IntPtr)Floats(weight), new float[(long)channels * taps]);
        for (var c = 0; c < channels; c++)
            for (var j = 0; j < taps; j++) turned[j * channels + c] = ((float*)from)[c * taps + j];
        return turned;
    }
}
