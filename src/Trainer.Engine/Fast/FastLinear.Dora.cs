using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast;

// DoRA (arXiv 2402.09353) as PEFT computes it: the row norms are constants of the backward pass, and dropout spares the product that has no adapter.
//
//   z = W x' + s u B^T;  g = m / |W + s B A|;  y = W (x - x') + g z
//   dm += sum_t dy z / |W + s B A|;  dz = g dy, whose gradients are those of a plain adapter
//   dx = dz W + du A, with dropout  dy W + mask ((dz - dy) W + du A)
internal sealed partial class FastLinear
{
    // u, z and the norms; x' is x where nothing drops.
    private void KeepWhole(FastPass pass, LinearModule linear, LowRank update, Place x, long rows, AdapterState kept)
    {
        var input = FastLowRank.Drops(pass, update) ? _lowRank.Drop(pass, update, x, rows) : x;
        _lowRank.Lower(update, input, rows, kept.Low);
        RowNorms(pass, linear, update, kept.Norms);
        Product(pass, linear, input, rows, kept.Whole, linear.OutFeatures, 1f);
        _lowRank.Raise(update, rows, kept.Low, kept.Whole, linear.OutFeatures);
    }

    private void ForwardDora(FastPass pass, LinearModule linear, LowRank update, Place x, long rows, Place y, long stride, AdapterState kept)
    {
        var drops = FastLowRank.Drops(pass, update);
        // With dropout y = W x + (g - 1) z + s u B^T, which is the form above without a second input to hold.
        if (drops) Product(pass, linear, x, rows, y, stride, 1f);
        KeepWhole(pass, linear, update, x, rows, kept);
        FillRatio(pass, linear, kept, drops ? 1f : 0f);
        var high = linear.OutFeatures;
        kernels.ScaleColumns(pass.Memory.Floats(BufferId.Ratio), kept.Whole, high, rows, high, y, stride, add: drops);
        if (drops) _lowRank.Raise(update, rows, kept.Low, y, stride);
    }

    private void BackwardDora(FastPass pass, LinearModule linear, LowRank update, Place x, long rows, Place dy, long stride, Place dx, bool add,
        AdapterState kept)
    {
        long wide = linear.InFeatures, high = linear.OutFeatures;
        var (drops, scaled, dropped) = (FastLowRank.Drops(pass,
            update), pass.Memory.Floats(BufferId.ScaledGradient), pass.Memory.FloatsOrNone(BufferId.Dropped));
        kernels.AddColumnDots(pass.Memory, dy, stride, kept.Whole, rows, high, kept.Norms, parameters.Gradients(linear.Adapter!.Magnitude!));
        FillRatio(pass, linear, kept, 0f);
        ScaleRows(pass, dy, stride, rows, high);
        if (!dx.IsNone) InputGradient(pass, linear, drops ? dy : scaled, drops ? stride : high, rows, dx, add, 1f);
        _lowRank.Gradients(pass, update, drops ? _lowRank.Drop(pass, update, x, rows) : x, rows, scaled, high, kept.Low);
        if (dx.IsNone) return;
        if (!drops)
        {
            _lowRank.AddLow(pass, update, rows, dx, 1f);
            return;
        }
        FillRatio(pass, linear, kept, 1f);
        ScaleRows(pass, dy, stride, rows, high);
        InputGradient(pass, linear, scaled, high, rows, dropped, false, 1f);
        _lowRank.AddLow(pass, update, rows, dropped, 1f);
        _lowRank.AddMasked(pass, dx, rows * wide);
    }

    // |W + s B A| of each row; a text keeps them, since they are the same for all of its tokens.
    private void RowNorms(FastPass pass, LinearModule linear, LowRank update, Place norms)
    {
        if (pass.Past is [var known, ..] && known.RowNorms.TryGetValue(linear, out var held))
        {
            kernels.Upload<float>(held, norms);
            return;
        }
        kernels.RowNorms(pass.Memory, linear.Weight, update.B, update.A, update.Rank, update.Scale, norms);
        if (pass.Past is not [var past, ..]) return;
        kernels.Download<float>(norms, past.RowNorms[linear] = new float[linear.Weight.Rows]);
    }

    // g less a constant.
    private void FillRatio(FastPass pass, LinearModule linear, AdapterState kept, float less)
        => kernels.Ratio(parameters.Values(linear.Adapter!.Magnitude!), kept.Norms, less, pass.Memory.Floats(BufferId.Ratio), linear.OutFeatures);

    // The ratio times each row of dy, dense.
    private void ScaleRows(FastPass pass, Place dy, long stride, long rows, long high)
        => kernels.ScaleColumns(pass.Memory.Floats(BufferId.Ratio), dy, stride, rows, high, pass.Memory.Floats(BufferId.ScaledGradient), high, add: false);
}
