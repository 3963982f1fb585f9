using System.Runtime.InteropServices;
using TorchSharp;
using Trainer.Engine.Fast.Cpu;
using Trainer.Engine.Fast.Libtorch;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using Trainer.Models.Parts;

namespace Trainer.Engine.Tests.Fast.FakeDevice;

/// <summary>
/// A device without a card: operations are queued and run as late as a device may, in order but behind the host by a seeded number of operations;
/// only waiting catches up. Whoever reads what was not waited for, hands over memory of the host, or gives memory back or a frozen weight's room away too early
/// turns a test red.
/// </summary>
internal sealed unsafe class FakeKernels : IKernels
{
    private readonly IKernels _inner;
    private readonly Queue<Action> _waiting = new();
    private readonly Random _random;

    public FakeKernels(IKernels inner, int seed)
    {
        (_inner, _random) = (inner, new Random(seed));
        if (_inner.Rooms is { } rooms) FakeRooms = new FakeRooms(this, rooms);
    }

    /// <summary>Such a device over the processor's kernels.</summary>
    /// <param name="seed">When it comes after the host.</param>
    /// <param name="made">Gets the device.</param>
    public static KernelFactory WithSeed(int seed, Action<FakeKernels>? made = null) => (shape, compute, panels) =>
    {
        var device = new FakeKernels(new CpuKernels(shape, compute, panels), seed);
        made?.Invoke(device);
        return device;
    };

    /// <summary>Such a device over libtorch's operations, with so much memory and rooms for streamed layers.</summary>
    /// <param name="seed">When it comes after the host.</param>
    /// <param name="limit">Its memory; null is without end.</param>
    /// <param name="isStreamed">Whether layers take turns in rooms.</param>
    /// <param name="made">Gets the device.</param>
    public static KernelFactory OverLibtorch(int seed, long? limit = null, bool isStreamed = false, Action<FakeKernels>? made = null)
        => (shape, compute, panels) =>
    {
        var device = new FakeKernels(new TorchKernels(shape, compute, panels, "cpu", !isStreamed, limit), seed);
        made?.Invoke(device);
        return device;
    };

    /// <summary>What it holds, over libtorch's operations.</summary>
    public DeviceHeap Heap => ((TorchKernels)_inner).Heap;

    /// <summary>Rooms and copies, where it has any.</summary>
    public FakeRooms? FakeRooms { get; }

    public ILayerRooms? Rooms => FakeRooms;

    /// <summary>What libtorch says of its next operation, which fails.</summary>
    public string? Fails { get; set; }

    /// <summary>Operations that were queued.</summary>
    public long Queued { get; private set; }

    /// <summary>Operations that were run.</summary>
    public long Done { get; private set; }

    /// <summary>How often the host had to wait.</summary>
    public int Waits { get; private set; }

    /// <summary>Most operations that waited at a time.</summary>
    public int Longest { get; private set; }

    public DeviceMemory Allocate(long bytes) => new FakeMemory(this, _inner.Allocate(bytes), isOwn: true);

    public Place Of(torch.Tensor tensor) => new(new FakeMemory(this, _inner.Of(tensor).Memory, isOwn: false), 0);

    public void Upload<T>(ReadOnlySpan<T> source, Place target)
        where T : unmanaged
    {
        var copy = source.ToArray();
        Queue(() => _inner.Upload<T>(copy, At(target)));
    }

    public void Download<T>(Place source, Span<T> target)
        where T : unmanaged
    {
        Synchronize();
        _inner.Download(At(source), target);
    }

    public ElementType LossType => _inner.LossType;

    public void Dispose() => _inner.Dispose();

    public void Synchronize() => WaitFor(Queued);

    public IDeviceEvent Record() => new Event(this, Queued);

    // Whoever finds everything done does not wait.
    private void WaitFor(long operations)
    {
        if (Done < operations) Waits++;
        while (Done < operations) RunNext();
    }

    private void RunNext()
    {
        var operation = _waiting.Dequeue();
        Done++;
#pragma warning disable CA2201 // what TorchSharp throws is what is thrown here
        if (Fails is not null) throw new ExternalException(Fails);
#pragma warning restore CA2201
        operation();
    }

    public void Fill(Place target, long count, float value) => Queue(() => _inner.Fill(At(target), count, value));

    public void Copy(Place source, long sourceStride, Place target, long targetStride, long width, long rows)
        => Queue(() => _inner.Copy(At(source), sourceStride, At(target), targetStride, width, rows));

    public void TimesTransposed(long m, long n, long k, float alpha, Place a, long lda, Place b, long ldb, float beta, Place c, long ldc)
        => Queue(() => _inner.TimesTransposed(m, n, k, alpha, At(a), lda, At(b), ldb, beta, At(c), ldc));

    public void Times(long m, long n, long k, float alpha, Place a, long lda, Place b, long ldb, float beta, Place c, long ldc)
        => Queue(() => _inner.Times(m, n, k, alpha, At(a), lda, At(b), ldb, beta, At(c), ldc));

    public void TransposedTimes(long m, long n, long k, float alpha, Place a, long lda, Place b, long ldb, float beta, Place c, long ldc)
        => Queue(() => _inner.TransposedTimes(m, n, k, alpha, At(a), lda, At(b), ldb, beta, At(c), ldc));

    public void FrozenProduct(PassMemory room, IFrozenWeight weight, bool isHead, Place x, long rows, Place y, long stride, float factor)
        => Queue(weight, () => _inner.FrozenProduct(At(room), weight, isHead, At(x), rows, At(y), stride, factor));

    public void FrozenInputGradient(PassMemory room, IFrozenWeight weight, bool isHead, Place dy, long stride, long rows, Place dx, bool add, float factor)
        => Queue(weight, () => _inner.FrozenInputGradient(At(room), weight, isHead, At(dy), stride, rows, At(dx), add, factor));

    public void RowNorms(PassMemory room, IFrozenWeight weight, Place upper, Place lower, long rank, float scale, Place norms)
        => Queue(weight, () => _inner.RowNorms(At(room), weight, At(upper), At(lower), rank, scale, At(norms)));

    public void AddScaled(Place a, Place b, float scale, Place sum, long count) => Queue(() => _inner.AddScaled(At(a), At(b), scale, At(sum), count));

    public void Multiply(Place a, Place b, Place product, long count) => Queue(() => _inner.Multiply(At(a), At(b), At(product), count));

    public void AddProduct(Place a, Place b, Place sum, long count) => Queue(() => _inner.AddProduct(At(a), At(b), At(sum), count));

    public void AddRow(Place row, float factor, long rows, long width, Place y, long stride)
        => Queue(() => _inner.AddRow(At(row), factor, rows, width, At(y), stride));

    public void ScaleColumns(Place factors, Place x, long xStride, long rows, long width, Place y, long yStride, bool add)
        => Queue(() => _inner.ScaleColumns(At(factors), At(x), xStride, rows, width, At(y), yStride, add));

    public void AddTransposed(Place source, long rows, long columns, Place target, long step)
        => Queue(() => _inner.AddTransposed(At(source), rows, columns, At(target), step));

    public void Ratio(Place a, Place b, float less, Place ratio, long count) => Queue(() => _inner.Ratio(At(a), At(b), less, At(ratio), count));

    public void AddColumnDots(PassMemory room, Place a, long stride, Place b, long rows, long width, Place divisor, Place target)
        => Queue(() => _inner.AddColumnDots(At(room), At(a), stride, At(b), rows, width, At(divisor), At(target)));

    public void Mask(StepKey key, int module, long rows, long columns, double probability, Place mask)
        => Queue(() => _inner.Mask(key, module, rows, columns, probability, At(mask)));

    public void Gather(Place source, Place index, long count, int width, Place target)
        => Queue(() => _inner.Gather(At(source), At(index), count, width, At(target)));

    public void Scatter(Place source, Place index, long count, int width, Place target, long rows)
        => Queue(() => _inner.Scatter(At(source), At(index), count, width, At(target), rows));

    public void ScatterAdd(Place source, Place index, long count, int width, Place target, long rows)
        => Queue(() => _inner.ScatterAdd(At(source), At(index), count, width, At(target), rows));

    public void Scale(Place x, long count, float factor) => Queue(() => _inner.Scale(At(x), count, factor));

    public void Embed(IFrozenWeight weight, Place trained, int[] ids, int width, Place target)
        => Queue(weight, () => _inner.Embed(weight, At(trained), ids, width, At(target)));

    public void AddNoise(TokenBatch batch, StepKey key, int width, Place target) => Queue(() => _inner.AddNoise(batch, key, width, At(target)));

    public void EmbedGradient(Place gradient, int[] ids, float factor, int width, Place target)
        => Queue(() => _inner.EmbedGradient(At(gradient), ids, factor, width, At(target)));

    public void Norm(Place x, Place weight, float offset, float epsilon, Place y, Place inverse, int width, long rows)
        => Queue(() => _inner.Norm(At(x), At(weight), offset, epsilon, At(y), At(inverse), width, rows));

    public void AddNorm(Place x, Place delta, Place sum, Place weight, Place y, Place inverse, long rows)
        => Queue(() => _inner.AddNorm(At(x), At(delta), At(sum), At(weight), At(y), At(inverse), rows));

    public void NormBackward(Place x, Place weight, float offset, Place inverse, Place dy, Place residual, Place dx, int width, long rows)
        => Queue(() => _inner.NormBackward(At(x), At(weight), offset, At(inverse), At(dy), At(residual), At(dx), width, rows));

    public void NormWeightGradient(Place x, Place inverse, Place dy, Place target, int width, long rows)
        => Queue(() => _inner.NormWeightGradient(At(x), At(inverse), At(dy), At(target), width, rows));

    public void ScaleRows(Place x, long stride, int width, Place factors, long rows)
        => Queue(() => _inner.ScaleRows(At(x), stride, width, At(factors), rows));

    public void Rotate(Place x, int stride, int heads, int size, Place cos, Place sin, Place positions, int half, bool pairs, bool inverse, long tokens)
        => Queue(() => _inner.Rotate(At(x), stride, heads, size, At(cos), At(sin), At(positions), half, pairs, inverse, tokens));

    public void Gate(GateShape shape, Place gate, Place up, Place activated, long rows)
        => Queue(() => _inner.Gate(shape, At(gate), At(up), At(activated), rows));

    public void GateBackward(GateShape shape, Place gate, Place up, Place gradient, long rows)
        => Queue(() => _inner.GateBackward(shape, At(gate), At(up), At(gradient), rows));

    public void Clamp(Place x, long count, float limit) => Queue(() => _inner.Clamp(At(x), count, limit));

    public void ClampBackward(Place x, long count, float limit, Place dx) => Queue(() => _inner.ClampBackward(At(x), count, limit, At(dx)));

    public void Route(Place scores, Place correction, RouterConfig router, int experts, long tokens, Place choice, Place weights)
        => Queue(() => _inner.Route(At(scores), At(correction), router, experts, tokens, At(choice), At(weights)));

    public void RouteGradient(Place scores, Place choice, Place shares, Place balance, RouterConfig router, int experts, long tokens)
        => Queue(() => _inner.RouteGradient(At(scores), At(choice), At(shares), At(balance), router, experts, tokens));

    public void Spread(Place source, Place rows, Place slots, Place weights, long count, int width, Place target)
        => Queue(() => _inner.Spread(At(source), At(rows), At(slots), At(weights), count, width, At(target)));

    public void Collect(Place source, Place places, Place weights, int chosen, long tokens, int width, Place target)
        => Queue(() => _inner.Collect(At(source), At(places), At(weights), chosen, tokens, width, At(target)));

    public void RowDots(Place a, Place b, Place slots, long count, int width, Place target)
        => Queue(() => _inner.RowDots(At(a), At(b), At(slots), count, width, At(target)));

    public void AddRowDots(Place a, Place b, Place slots, long count, int width, Place target)
        => Queue(() => _inner.AddRowDots(At(a), At(b), At(slots), count, width, At(target)));

    public void GateRows(Place gate, Place x, int width, long rows, Place y, bool add)
        => Queue(() => _inner.GateRows(At(gate), At(x), width, rows, At(y), add));

    public void GateRowsGradient(Place gate, Place x, Place dy, int width, long rows, Place target)
        => Queue(() => _inner.GateRowsGradient(At(gate), At(x), At(dy), width, rows, At(target)));

    public void Pick(Place source, long step, long count, Place target) => Queue(() => _inner.Pick(At(source), step, count, At(target)));

    public void Silu(Place x, long count, Place y) => Queue(() => _inner.Silu(At(x), count, At(y)));

    public void SiluBackward(Place x, Place dy, long count, Place dx) => Queue(() => _inner.SiluBackward(At(x), At(dy), count, At(dx)));

    public void GateValues(Place gate, Place x, long count, Place y) => Queue(() => _inner.GateValues(At(gate), At(x), count, At(y)));

    public void GateValuesBackward(Place gate, Place x, Place dy, long count, Place dx, Place dgate)
        => Queue(() => _inner.GateValuesBackward(At(gate), At(x), At(dy), count, At(dx), At(dgate)));

    public void MultiplyRows(Place a, long aStride, Place b, long bStride, Place y, long yStride, long rows, long width)
        => Queue(() => _inner.MultiplyRows(At(a), aStride, At(b), bStride, At(y), yStride, rows, width));

    public void Convolve(Place x, Place before, Place weight, Place bias, int[] starts, int channels, int taps, Place y)
        => Queue(() => _inner.Convolve(At(x), At(before), At(weight), At(bias), starts, channels, taps, At(y)));

    public void ConvolveBackward(Place dy, Place weight, int[] starts, int channels, int taps, Place dx)
        => Queue(() => _inner.ConvolveBackward(At(dy), At(weight), starts, channels, taps, At(dx)));

    public void DeltaRule(PassMemory room, DeltaOperands layer, int[] starts, Place state, Place output)
        => Queue(() => _inner.DeltaRule(At(room), At(layer), starts, At(state), At(output)));

    public void DeltaRuleBackward(PassMemory room, DeltaOperands layer, int[] starts, Place gradient, Place dmixed, Place dstrength, Place dstep)
        => Queue(() => _inner.DeltaRuleBackward(At(room), At(layer), starts, At(gradient), At(dmixed), At(dstrength), At(dstep)));

    public void StateScan(PassMemory room, StateOperands layer, int[] starts, Place state, Place output)
        => Queue(() => _inner.StateScan(At(room), At(layer), starts, At(state), At(output)));

    public void StateScanBackward(PassMemory room, StateOperands layer, int[] starts, Place gradient, Place dmixed, Place dstep)
        => Queue(() => _inner.StateScanBackward(At(room), At(layer), starts, At(gradient), At(dmixed), At(dstep)));

    public void Attention(PassMemory room, int[] starts, LayerAttention layer) => Queue(() => _inner.Attention(At(room), starts, At(layer)));

    public void ContinueAttention(PassMemory room, int[] starts, LayerAttention layer, HeldTokens[] texts)
    {
        var held = Array.ConvertAll(texts, text => text with { Keys = At(text.Keys), Values = At(text.Values) });
        Queue(() => _inner.ContinueAttention(At(room), starts, At(layer), held));
    }

    public void AttentionBackward(PassMemory room, int[] starts, LayerAttention layer, Place gradient, Place dq, Place dk, Place dv)
        => Queue(() => _inner.AttentionBackward(At(room), starts, At(layer), At(gradient), At(dq), At(dk), At(dv)));

    public void CapLogits(Place logits, long rows) => Queue(() => _inner.CapLogits(At(logits), rows));

    public void CrossEntropy(PassMemory room, Place logits, long rows, Place targets, Place factors, Place losses, double? scale, double smoothing, Place means)
        => Queue(() => _inner.CrossEntropy(At(room), At(logits), rows, At(targets), At(factors), At(losses), scale, smoothing, At(means)));

    private StateOperands At(StateOperands layer) => layer with
    {
        Mixed = At(layer.Mixed), Step = At(layer.Step), DecayLog = At(layer.DecayLog), Direct = At(layer.Direct), Shift = At(layer.Shift),
    };

    private DeltaOperands At(DeltaOperands layer) => layer with
    {
        Mixed = At(layer.Mixed), Strength = At(layer.Strength), Step = At(layer.Step), DecayLog = At(layer.DecayLog), Shift = At(layer.Shift),
    };

    // Now and then the device comes a part of the way after the host.
    public void Queue(Action operation)
    {
        _waiting.Enqueue(operation);
        Queued++;
        Longest = Math.Max(Longest, _waiting.Count);
        if (_random.Next(20) > 0) return;
        for (var run = _random.Next(_waiting.Count); run > 0; run--) RunNext();
    }

    // A device takes the address with the launch: a weight that moved meanwhile would be read from a room that others have.
    private void Queue(IFrozenWeight weight, Action operation)
    {
        var (launched, copy) = (Address(weight), FakeRooms?.Launch(weight));
        Queue(() =>
        {
            copy?.RequireThere();
            if (Address(weight) != launched) throw new InvalidOperationException("a frozen weight was moved while an operation on it was still to run");
            operation();
        });
    }

    private static IntPtr Address(IFrozenWeight weight) => weight switch
    {
        DenseWeight dense => (IntPtr)TorchMemory.Pointer(dense.Stored),
        Nf4Weight nf4 => (IntPtr)nf4.Source.Packed,
        _ => 0,
    };

    private Place At(Place place) => place.IsNone ? default : place with { Memory = At(place.Memory) };

    private PassMemory At(PassMemory room) => room with { Block = At(room.Block), Own = room.Own is { } own ? At(own) : null };

    private LayerAttention At(LayerAttention layer)
        => new(layer.Shape, At(layer.Query), At(layer.Key), At(layer.Value), At(layer.Attended), At(layer.LogSums), layer.Window) { Sinks = At(layer.Sinks) };

    private DeviceMemory At(DeviceMemory memory)
        => memory is FakeMemory fake ? fake.Real(this) : throw new InvalidOperationException($"an operand in memory of the host ({memory.GetType().Name})");

    private sealed class Event(FakeKernels device, long operations) : IDeviceEvent
    {
        public void Wait() => device.WaitFor(operations);
    }
}
