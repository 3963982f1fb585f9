using Trainer.Engine.Dropout;
using Trainer.Engine.Weights;

namespace Trainer.Engine.Fast.Operations;

/// <summary>Elements and rows: sums, products, and choosing of rows.</summary>
internal interface IRowKernels
{
    /// <summary>sum = a + scale b; sum may be a or b.</summary>
    void AddScaled(Place a, Place b, float scale, Place sum, long count);

    /// <summary>product = a b; product may be a or b.</summary>
    void Multiply(Place a, Place b, Place product, long count);

    /// <summary>sum += a b.</summary>
    void AddProduct(Place a, Place b, Place sum, long count);

    /// <summary>Each row of y += factor row.</summary>
    void AddRow(Place row, float factor, long rows, long width, Place y, long stride);

    /// <summary>y = x with each column times its factor, or that added.</summary>
    void ScaleColumns(Place factors, Place x, long xStride, long rows, long width, Place y, long yStride, bool add);

    /// <summary>target (columns, rows) += source (rows, columns) transposed; the source is dense, the target's values lie <paramref name="step"/>
    /// apart.</summary>
    void AddTransposed(Place source, long rows, long columns, Place target, long step);

    /// <summary>ratio = a / b - less.</summary>
    void Ratio(Place a, Place b, float less, Place ratio, long count);

    /// <summary>target += (sum over rows of a b) / divisor, column by column.</summary>
    /// <param name="room">Scratch.</param>
    /// <param name="a">(rows, width).</param>
    /// <param name="stride">Floats from a row of a to the next.</param>
    /// <param name="b">(rows, width), dense.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="width">Columns.</param>
    /// <param name="divisor">(width).</param>
    /// <param name="target">(width).</param>
    void AddColumnDots(PassMemory room, Place a, long stride, Place b, long rows, long width, Place divisor, Place target);

    /// <summary>A dropout mask of 0 and 1 / (1 - p), see <see cref="DropoutMask"/>: the same values on every device.</summary>
    void Mask(StepKey key, int module, long rows, long columns, double probability, Place mask);

    /// <summary>target[i] = source[index[i]]; both are dense.</summary>
    void Gather(Place source, Place index, long count, int width, Place target);

    /// <summary>target (rows, width) = 0 but target[index[i]] = source[i]; both are dense.</summary>
    void Scatter(Place source, Place index, long count, int width, Place target, long rows);

    /// <summary>target (rows, width)[index[i]] += source[i]; both are dense, the index has no repeats.</summary>
    void ScatterAdd(Place source, Place index, long count, int width, Place target, long rows);

    /// <summary>x = factor x.</summary>
    void Scale(Place x, long count, float factor);

    /// <summary>target = rows of a frozen table, or of a trained one where there is one.</summary>
    void Embed(IFrozenWeight weight, Place trained, int[] ids, int width, Place target);

    /// <summary>Adds noise to embedded tokens (T, width), see <see cref="EmbeddingNoise"/>: the same values on every device.</summary>
    void AddNoise(TokenBatch batch, StepKey key, int width, Place target);

    /// <summary>target[ids[i]] += factor gradient[i]; ids may repeat.</summary>
    void EmbedGradient(Place gradient, int[] ids, float factor, int width, Place target);
}
