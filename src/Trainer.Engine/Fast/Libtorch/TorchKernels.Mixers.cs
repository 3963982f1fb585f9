using TorchSharp;
using Trainer.Engine.Fast.Operations;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast.Libtorch;

internal sealed unsafe partial class TorchKernels
{
    public void MultiplyRows(Place a, long aStride, Place b, long bStride, Place y, long yStride, long rows, long width)
    {
        using var scope = NewDisposeScope();
        Rows(y, rows, width, yStride).copy_(Rows(a, rows, width, aStride) * Rows(b, rows, width, bStride));
    }

    public void Convolve(Place x, Place before, Place weight, Place bias, int[] starts, int channels, int taps, Place y)
    {
        using var scope = NewDisposeScope();
        var each = Rows(weight, channels, taps);
        for (var s = 0; s + 1 < starts.Length; s++)
        {
            var (start, length) = ((long)starts[s] * channels, starts[s + 1] - starts[s]);
            var earlier = before.IsNone ? zeros(taps - 1, channels, dtype: ScalarType.Float32, device: _device) : Rows(before, taps - 1, channels);
            var whole = cat([earlier, Rows(x + start, length, channels)], 0);
            var sum = whole.narrow(0, 0, length) * each.select(1, 0);
            for (long j = 1; j < taps; j++) sum = sum + whole.narrow(0, j, length) * each.select(1, j);
            Rows(y + start, length, channels).copy_(bias.IsNone ? sum : sum + Row(bias, channels));
        }
    }

    public void ConvolveBackward(Place dy, Place weight, int[] starts, int channels, int taps, Place dx)
    {
        using var scope = NewDisposeScope();
        var each = Rows(weight, channels, taps);
        for (var s = 0; s + 1 < starts.Length; s++)
        {
            var (start, length) = ((long)starts[s] * channels, starts[s + 1] - starts[s]);
            var whole = cat([Rows(dy + start, length, channels), zeros(taps - 1, channels, dtype: ScalarType.Float32, device: _device)], 0);
            var sum = whole.narrow(0, taps - 1, length) * each.select(1, 0);
            for (long j = 1; j < taps; j++) sum = sum + whole.narrow(0, taps - 1 - j, length) * each.select(1, j);
            Rows(dx + start, length, channels).copy_(sum);
        }
    }
}
