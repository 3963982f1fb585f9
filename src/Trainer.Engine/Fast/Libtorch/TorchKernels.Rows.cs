using TorchSharp;
using Trainer.Engine.Dropout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast.Libtorch;

internal sealed unsafe partial class TorchKernels
{
    public void AddScaled(Place a, Place b, float scale, Place sum, long count)
    {
        using var scope = NewDisposeScope();
        var (first, second, target) = (Row(a, count), Row(b, count), Row(sum, count));
        if (a == sum) target.add_(second, scale);
        else target.copy_(first.add(second, scale));
    }

    public void Multiply(Place a, Place b, Place product, long count)
    {
        using var scope = NewDisposeScope();
        Row(product, count).copy_(Row(a, count) * Row(b, count));
    }

    public void AddProduct(Place a, Place b, Place sum, long count)
    {
        using var scope = NewDisposeScope();
        Row(sum, count).addcmul_(Row(a, count), Row(b, count), 1);
    }

    public void AddRow(Place row, float factor, long rows, long width, Place y, long stride)
    {
        using var scope = NewDisposeScope();
        Rows(y, rows, width, stride).add_(Row(row, width), factor);
    }

    public void ScaleColumns(Place factors, Place x, long xStride, long rows, long width, Place y, long yStride, bool add)
    {
        using var scope = NewDisposeScope();
        var (scaled, target) = (Row(factors, width) * Rows(x, rows, width, xStride), Rows(y, rows, width, yStride));
        if (add) target.add_(scaled);
        else target.copy_(scaled);
    }

    public void AddTransposed(Place source, long rows, long columns, Place target, long step)
    {
        using var scope = NewDisposeScope();
        TensorMemory.View(target, [columns, rows], [rows * step, step]).add_(Rows(source, rows, columns).t());
    }

    public void Ratio(Place a, Place b, float less, Place ratio, long count)
    {
        using var scope = NewDisposeScope();
        Row(ratio, count).copy_(Row(a, count) / Row(b, count) - less);
    }

    public void AddColumnDots(PassMemory room, Place a, long stride, Place b, long rows, long width, Place divisor, Place target)
    {
        using var scope = NewDisposeScope();
        Row(target, width).add_((Rows(a, rows, width, stride) * Rows(b, rows, width)).sum([0]) / Row(divisor, width));
    }

    public void Mask(StepKey key, int module, long rows, long columns, double probability, Place mask)
    {
        using var scope = NewDisposeScope();
        Rows(mask, rows, columns).copy_(DropoutMask.Make(key, module, rows, columns, probability, _device));
    }

    public void Gather(Place source, Place index, long count, int width, Place target)
    {
        using var scope = NewDisposeScope();
        Rows(target, count, width).copy_(Rows(source, TensorMemory.Left(source) / width, width).index_select(0, Index(index, count)));
    }

    public void Scatter(Place source, Place index, long count, int width, Place target, long rows)
    {
        using var scope = NewDisposeScope();
        Rows(target, rows, width).zero_().index_add_(0, Index(index, count), Rows(source, count, width), 1);
    }

    public void ScatterAdd(Place source, Place index, long count, int width, Place target, long rows)
    {
        using var scope = NewDisposeScope();
        Rows(target, rows, width).index_add_(0, Index(index, count), Rows(source, count, width), 1);
    }

    public void Scale(Place x, long count, float factor)
    {
        using var scope = NewDisposeScope();
        Row(x, count).mul_(factor);
    }

    public void Embed(IFrozenWeight weight, Place trained, int[] ids, int width, Place target)
    {
        using var scope = NewDisposeScope();
        var rows = Rows(target, ids.Length, width);
        if (!trained.IsNone)
        {
            rows.copy_(Rows(trained, weight.Rows, width).index_select(0, Ids(ids)));
            return;
        }
        var taken = empty(ids.Length, width, dtype: ScalarType.Float32);
        var values = TorchMemory.Pointer(taken);
        for (var t = 0; t < ids.Length; t++) weight.Materialize(ids[t], 1, values + t * (long)width);
        rows.copy_(taken);
    }

    public void AddNoise(TokenBatch batch, StepKey key, int width, Place target)
    {
        using var scope = NewDisposeScope();
        var noise = zeros(batch.Length, width, dtype: ScalarType.Float32);
        EmbeddingNoise.Add(new Span<float>(TorchMemory.Pointer(noise), checked(batch.Length * width)), batch, key, width);
        Rows(target, batch.Length, width).add_(noise.to(_device));
    }

    public void EmbedGradient(Place gradient, int[] ids, float factor, int width, Place target)
    {
        using var scope = NewDisposeScope();
        Rows(target, TensorMemory.Left(target) / width, width).index_add_(0, Ids(ids), Rows(gradient, ids.Length, width), factor);
    }

    private static Tensor Index(Place place, long count) => Row(place, count).to(ScalarType.Int64);

    private Tensor Ids(int[] ids) => tensor(ids, device: _device).to(ScalarType.Int64);
}
