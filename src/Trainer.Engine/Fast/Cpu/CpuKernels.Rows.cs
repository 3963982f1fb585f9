using System.Runtime.InteropServices;
using Trainer.Engine.Dropout;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast.Cpu;

internal sealed unsafe partial class CpuKernels
{
    private const long RowGrain = 16;

    public void AddScaled(Place a, Place b, float scale, Place sum, long count)
    {
        float* first = Floats(a), second = Floats(b), target = Floats(sum);
        ComputeThreads.For(0, count, Grain, (begin, end) => Arithmetic.AddScaled(first, second, scale, target, begin, end));
    }

    public void Multiply(Place a, Place b, Place product, long count)
    {
        float* first = Floats(a), second = Floats(b), target = Floats(product);
        ComputeThreads.For(0, count, Grain, (begin, end) => Arithmetic.Product(first, second, target, begin, end));
    }

    public void AddProduct(Place a, Place b, Place sum, long count)
    {
        float* first = Floats(a), second = Floats(b), target = Floats(sum);
        ComputeThreads.For(0, count, Grain, (begin, end) => Arithmetic.AddProduct(target, first, second, target, begin, end));
    }

    public void AddRow(Place row, float factor, long rows, long width, Place y, long stride)
    {
        float* added = Floats(row), target = Floats(y);
        ComputeThreads.For(0, rows, GrainOf(width), (begin, end) =>
        {
            for (var t = begin; t < end; t++) Arithmetic.AddScaled(target + t * stride, added, factor, target + t * stride, 0, width);
        });
    }

    public void ScaleColumns(Place factors, Place x, long xStride, long rows, long width, Place y, long yStride, bool add)
    {
        float* each = Floats(factors), from = Floats(x), to = Floats(y);
        ComputeThreads.For(0, rows, GrainOf(width), (begin, end) =>
        {
            for (var t = begin; t < end; t++)
            {
                var row = to + t * yStride;
                if (add) Arithmetic.AddProduct(row, each, from + t * xStride, row, 0, width);
                else Arithmetic.Product(each, from + t * xStride, row, 0, width);
            }
        });
    }

    public void AddTransposed(Place source, long rows, long columns, Place target, long step)
    {
        float* from = Floats(source), to = Floats(target);
        ComputeThreads.For(0, columns, ColumnsOf(2 * rows), (begin, end) =>
        {
            for (var j = begin; j < end; j++)
                for (long i = 0; i < rows; i++) to[(j * rows + i) * step] += from[i * columns + j];
        });
    }

    public void Ratio(Place a, Place b, float less, Place ratio, long count)
    {
        float* above = Floats(a), below = Floats(b), target = Floats(ratio);
        ComputeThreads.For(0, count, Grain, (begin, end) =>
        {
            for (var o = begin; o < end; o++) target[o] = above[o] / below[o] - less;
        });
    }

    // Columns are split among threads, so each sum has one owner and one order.
    public void AddColumnDots(PassMemory room, Place a, long stride, Place b, long rows, long width, Place divisor, Place target)
    {
        float* first = Floats(a), second = Floats(b), sums = Floats(room.Floats(BufferId.RatioSums)), below = Floats(divisor), to = Floats(target);
        ComputeThreads.For(0, width, ColumnsOf(rows), (begin, end) =>
        {
            new Span<float>(sums + begin, (int)(end - begin)).Clear();
            for (long t = 0; t < rows; t++) Arithmetic.AddProduct(sums, first + t * stride, second + t * width, sums, begin, end);
            for (var o = begin; o < end; o++) to[o] += sums[o] / below[o];
        });
    }

    public void Mask(StepKey key, int module, long rows, long columns, double probability, Place mask)
        => DropoutMask.Fill(Floats(mask), rows * columns, key, module, columns, probability);

    public void Gather(Place source, Place index, long count, int width, Place target)
    {
        float* from = Floats(source), to = Floats(target);
        var rows = HostMemory.At<int>(index);
        ComputeThreads.For(0, count, GrainOf(width), (begin, end) =>
        {
            for (var i = begin; i < end; i++) NativeMemory.Copy(from + rows[i] * (long)width, to + i * width, (nuint)width * sizeof(float));
        });
    }

    public void Scatter(Place source, Place index, long count, int width, Place target, long rows)
    {
        float* from = Floats(source), to = Floats(target);
        var places = HostMemory.At<int>(index);
        Fill(target, rows * width, 0f);
        ComputeThreads.For(0, count, GrainOf(width), (begin, end) =>
        {
            for (var i = begin; i < end; i++) NativeMemory.Copy(from + i * width, to + places[i] * (long)width, (nuint)width * sizeof(float));
        });
    }

    public void ScatterAdd(Place source, Place index, long count, int width, Place target, long rows)
    {
        float* from = Floats(source), to = Floats(target);
        var places = HostMemory.At<int>(index);
        ComputeThreads.For(0, count, GrainOf(width), (begin, end) =>
        {
            for (var i = begin; i < end; i++)
            {
                var row = to + places[i] * (long)width;
                Arithmetic.AddScaled(row, from + i * width, 1f, row, 0, width);
            }
        });
    }

    public void Embed(IFrozenWeight weight, Place trained, int[] ids, int width, Place target)
    {
        float* table = Floats(trained), to = Floats(target);
        ComputeThreads.For(0, ids.Length, GrainOf(width), (begin, end) =>
        {
            for (var t = begin; t < end; t++)
            {
                if (table == null) weight.Materialize(ids[t], 1, to + t * width);
                else NativeMemory.Copy(table + ids[t] * (long)width, to + t * width, (nuint)width * sizeof(float));
            }
        });
    }

    public void AddNoise(TokenBatch batch, StepKey key, int width, Place target)
        => EmbeddingNoise.Add(new Span<float>(Floats(target), checked(batch.Length * width)), batch, key, width);

    public void Scale(Place x, long count, float factor)
    {
        var values = Floats(x);
        ComputeThreads.For(0, count, Grain, (begin, end) =>
        {
            for (var i = begin; i < end; i++) values[i] *= factor;
        });
    }

    // A token may occur many times: columns are split among threads, so each sum has one owner and one order.
    public void EmbedGradient(Place gradient, int[] ids, float factor, int width, Place target)
    {
        float* from = Floats(gradient), to = Floats(target);
        ComputeThreads.For(0, width, ColumnsOf(ids.Length), (begin, end) =>
        {
            for (var t = 0; t < ids.Length; t++)
            {
                var row = to + ids[t] * (long)width;
                Arithmetic.AddScaled(row, from + t * (long)width, factor, row, begin, end);
            }
        });
    }
}
