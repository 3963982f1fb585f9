using Trainer.Engine.Weights;

namespace Trainer.Engine.Fast.Operations;

/// <summary>The kernels of our own that take the place of a device's operations, by operation. Only those here may be replaced.</summary>
internal sealed class OwnKernels
{
    private static readonly Dictionary<string, Type> Kinds = new()
    {
        [nameof(IProductKernels.FrozenProduct)] = typeof(FrozenProduct),
        [nameof(IProductKernels.FrozenInputGradient)] = typeof(FrozenInputGradient),
        [nameof(IRowKernels.Mask)] = typeof(Mask),
        [nameof(ILayerKernels.AddNorm)] = typeof(AddNorm),
        [nameof(ILayerKernels.NormBackward)] = typeof(NormBackward),
        [nameof(ILayerKernels.Rotate)] = typeof(Rotate),
        [nameof(ILayerKernels.Gate)] = typeof(Gate),
        [nameof(ILayerKernels.GateBackward)] = typeof(GateBackward),
        [nameof(ILayerKernels.CrossEntropy)] = typeof(CrossEntropy),
    };

    private readonly Dictionary<Type, Delegate> _own = [];

    /// <summary>Makes the kernels of a table.</summary>
    /// <exception cref="InvalidOperationException">One is for no operation that may be replaced, or has other parameters than it.</exception>
    public OwnKernels(IReadOnlyList<KernelOverride> table, IKernels device)
    {
        foreach (var each in table)
        {
            var kernel = each.Make(device);
            if (!Kinds.TryGetValue(each.Operation, out var kind) || kernel.GetType() != kind)
                throw new InvalidOperationException($"no operation '{each.Operation}' can be replaced by a {kernel.GetType().Name}");
            _own.Add(kind, kernel);
        }
    }

    /// <summary>As <see cref="IProductKernels.FrozenProduct"/>.</summary>
    public delegate void FrozenProduct(PassMemory room, IFrozenWeight weight, bool isHead, Place x, long rows, Place y, long stride, float factor);

    /// <summary>As <see cref="IProductKernels.FrozenInputGradient"/>.</summary>
    public delegate void FrozenInputGradient(PassMemory room, IFrozenWeight weight, bool isHead, Place dy, long stride, long rows, Place dx, bool add,
        float factor);

    /// <summary>As <see cref="IRowKernels.Mask"/>.</summary>
    public delegate void Mask(StepKey key, int module, long rows, long columns, double probability, Place mask);

    /// <summary>As <see cref="ILayerKernels.AddNorm"/>.</summary>
    public delegate void AddNorm(Place x, Place delta, Place sum, Place weight, Place y, Place inverse, long rows);

    /// <summary>As <see cref="ILayerKernels.NormBackward"/>.</summary>
    public delegate void NormBackward(Place x, Place weight, float offset, Place inverse, Place dy, Place residual, Place dx, int width, long rows);

    /// <summary>As <see cref="ILayerKernels.Rotate"/>.</summary>
    public delegate void Rotate(Place x, int stride, int heads, int size, Place cos, Place sin, Place positions, int half, bool pairs, bool inverse,
        long tokens);

    /// <summary>As <see cref="ILayerKernels.Gate"/>.</summary>
    public delegate void Gate(GateShape shape, Place gate, Place up, Place activated, long rows);

    /// <summary>As <see cref="ILayerKernels.GateBackward"/>.</summary>
    public delegate void GateBackward(GateShape shape, Place gate, Place up, Place gradient, long rows);

    /// <summary>As <see cref="ILayerKernels.CrossEntropy"/>.</summary>
    public delegate void CrossEntropy(PassMemory room, Place logits, long rows, Place targets, Place factors, Place losses, double? scale, double smoothing,
        Place means);

    /// <summary>The kernel that takes the place of an operation; null where the device's own computes.</summary>
    public T? Find<T>()
        where T : Delegate => _own.Count == 0 ? null : (T?)_own.GetValueOrDefault(typeof(T));
}
