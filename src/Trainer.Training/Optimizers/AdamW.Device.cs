using TorchSharp;
using Trainer.Engine.Native;
using static TorchSharp.torch;

namespace Trainer.Training.Optimizers;

// On a device: the same operations in the same order as FlatAdamW, each of them libtorch's. The moments live there between the steps.
internal sealed partial class AdamW
{
    // Bounds what lies beside the values for a moment.
    private const long PartElements = 1 << 24;

    private Moments? _onDevice;

    public void Step(Tensor values, Tensor gradients, in OptimizerStep step)
    {
        using var quiet = no_grad();
        if (_onDevice is null)
        {
            _onDevice = new Moments(_setup.Length, values.device);
            HostCopy.Write(_first.All, _onDevice.First);
            HostCopy.Write(_second.All, _onDevice.Second);
        }
        foreach (var group in _setup.Groups)
        {
            var numbers = Numbers(group, step);
            for (long at = 0; at < group.Count; at += PartElements)
            {
                using var scope = NewDisposeScope();
                var count = Math.Min(PartElements, group.Count - at);
                Tensor Part(Tensor whole) => whole.narrow(0, group.Begin + at, count);
                Update(Part(values), Part(gradients), Part(_onDevice.First), Part(_onDevice.Second), numbers);
            }
        }
    }

    private static void Update(Tensor values, Tensor gradients, Tensor first, Tensor second, in Trainer.Numerics.Optimizer.AdamWStep step)
    {
        var (keep, rate) = ((float)(1 - step.LearningRate * step.WeightDecay), (float)(step.LearningRate / (1 - Math.Pow(step.Beta1, step.Step))));
        var root = (float)Math.Sqrt(1 - Math.Pow(step.Beta2, step.Step));
        var gradient = gradients * (float)step.GradientScale;
        first.add_((gradient - first).mul_((float)(1 - step.Beta1)));
        second.mul_((float)step.Beta2).add_(gradient.square().mul_((float)(1 - step.Beta2)));
        var denominator = second.sqrt().div_(root).add_((float)step.Epsilon);
        values.mul_(keep).sub_((first / denominator).mul_(rate));
    }

    // Whoever reads or writes the state on the host finds it there, and the next step on a device sends it again.
    private void BringMomentsHome()
    {
        if (_onDevice is not { } moments) return;
        HostCopy.Read(moments.First, _first.All);
        HostCopy.Read(moments.Second, _second.All);
        moments.Dispose();
        _onDevice = null;
    }

    private sealed class Moments(long length, Device device) : IDisposable
    {
        public Tensor First { get; } = empty(length, dtype: ScalarType.Float32, device: device).DetachFromDisposeScope();

        public Tensor Second { get; } = empty(length, dtype: ScalarType.Float32, device: device).DetachFromDisposeScope();

        public void Dispose()
        {
            First.Dispose();
            Second.Dispose();
        }
    }
}
