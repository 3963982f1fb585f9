using System.Runtime.InteropServices;
using TorchSharp;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Models;
using Trainer.Numerics.Products;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>The processor's kernels: our own vector code on our own threads, and libtorch's BLAS on each of them. Everything is done when a call
/// returns.</summary>
internal sealed unsafe partial class CpuKernels : IKernels
{
    private const long Grain = 1 << 14;
    private const long ColumnGrain = 64;
    // Floats that are moved in some ten microseconds.
    private const long MoveGrain = 1 << 16;
    // A register's width: fewer columns of a row would be read at no less cost.
    private const long LeastColumns = 16;

    private readonly FastShape _shape;
    private readonly PanelPlan _panels;
    private readonly IFrozenProduct _exact;
    private readonly IFrozenProduct _products;
    private readonly IFrozenProduct _headGradient;
    private readonly AttentionGradient _attentionGradient = new();

    /// <summary>Kernels for one model.</summary>
    /// <param name="shape">The model.</param>
    /// <param name="compute">Type of the frozen products.</param>
    /// <param name="panels">How frozen matrices are cut.</param>
    public CpuKernels(FastShape shape, ComputeKind compute, PanelPlan panels)
    {
        (_shape, _panels) = (shape, panels);
        _exact = Exact(panels);
        _products = compute switch
        {
            ComputeKind.BFloat16 => new BFloat16Product(panels),
            ComputeKind.Int8 => new Int8Product(panels),
            _ => _exact,
        };
        _headGradient = compute == ComputeKind.BFloat16 ? _products : _exact;
    }

    /// <summary>The float32 products that are the fastest on this processor.</summary>
    public static IFrozenProduct Exact(PanelPlan panels) => TileProduct.IsFast ? new TiledProduct(panels) : new BlasProduct(panels);

    /// <summary>Scratch of <see cref="Exact"/> for T rows of activations.</summary>
    public static IEnumerable<PassBuffer> ExactBuffers(long tokens, IReadOnlyList<MatrixShape> matrices, int threads, long panelElements = PanelPlan.Elements)
        =>
        TileProduct.IsFast ? TiledProduct.Buffers(tokens, threads) : BlasProduct.Buffers(tokens, matrices, panelElements);

    public DeviceMemory Allocate(long bytes) => new HostMemory(bytes);

    public Place Of(torch.Tensor tensor) => new(new HostMemory(TorchMemory.Pointer(tensor), tensor.numel() * tensor.ElementSize), 0);

    public void Upload<T>(ReadOnlySpan<T> source, Place target)
        where T : unmanaged => source.CopyTo(new Span<T>(HostMemory.At<T>(target), source.Length));

    public void Download<T>(Place source, Span<T> target)
        where T : unmanaged => new ReadOnlySpan<T>(HostMemory.At<T>(source), target.Length).CopyTo(target);

    public ElementType LossType => ElementType.Float64;

    public void Synchronize()
    {
    }

    public void Dispose()
    {
    }

    public IDeviceEvent? Record() => null;

    public void Fill(Place target, long count, float value)
    {
        var values = Floats(target);
        ComputeThreads.For(0, count, MoveGrain, (begin, end) =>
        {
            if (value == 0f) NativeMemory.Clear(values + begin, (nuint)(end - begin) * sizeof(float));
            else
                for (var i = begin; i < end; i++) values[i] = value;
        });
    }

    public void Copy(Place source, long sourceStride, Place target, long targetStride, long width, long rows)
    {
        float* from = Floats(source), to = Floats(target);
        ComputeThreads.For(0, rows, Math.Max(1, MoveGrain / width), (begin, end) =>
        {
            for (var r = begin; r < end; r++) NativeMemory.Copy(from + r * sourceStride, to + r * targetStride, (nuint)width * sizeof(float));
        });
    }

    private static float* Floats(Place place) => HostMemory.At<float>(place);
}
