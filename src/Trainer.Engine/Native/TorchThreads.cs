using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using TorchSharp;
using Trainer.Numerics.Machine;
using Trainer.Numerics.Spans;

namespace Trainer.Engine.Native;

/// <summary>Runs range kernels on libtorch's own threads, so that no second pool competes with the matrix products for the cores.</summary>
public static unsafe partial class TorchThreads
{
    // Elements whose step takes some ten microseconds: less is not worth a thread.
    private const long SpanGrain = 1 << 15;

    /// <summary>Sets how many threads compute: as many as are wanted, else libtorch's own number, but no more than the control group has time for.</summary>
    /// <param name="wanted">What the user said; null for nothing.</param>
    public static void Use(int? wanted)
    {
        if (wanted is { } threads) torch.set_num_threads(threads);
        else if (torch.get_num_threads() > MachineLimits.Processors) torch.set_num_threads(MachineLimits.Processors);
    }

    /// <summary>Splits [begin, end) into at most one part a thread, each at least <paramref name="grain"/> long, and waits for all.</summary>
    /// <param name="begin">First index.</param>
    /// <param name="end">One past the last.</param>
    /// <param name="grain">Smallest part worth a thread.</param>
    /// <param name="body">Takes a part's begin and end; called on several threads at once. Must not call libtorch operators.</param>
    public static void For(long begin, long end, long grain, Action<long, long> body)
    {
        if (begin >= end) return;
        if (end - begin <= grain)
        {
            body(begin, end);
            return;
        }
        RuntimeHelpers.RunClassConstructor(typeof(torch).TypeHandle);
        var work = new Work(body);
        var handle = GCHandle.Alloc(work);
        try
        {
            var code = ParallelFor(begin, end, Math.Max(1, grain), &Call, (void*)GCHandle.ToIntPtr(handle));
            if (code != 0) throw new InvalidOperationException($"libtorch's parallel loop failed (code {code})");
        }
        finally
        {
            handle.Free();
        }
        work.Fault?.Throw();
    }

    /// <summary>The same with a number for each part, below the number of threads: that of a scratch of its own.</summary>
    /// <param name="begin">First index.</param>
    /// <param name="end">One past the last.</param>
    /// <param name="grain">Smallest part worth a thread.</param>
    /// <param name="body">Takes a part's number, begin and end.</param>
    public static void For(long begin, long end, long grain, Action<int, long, long> body)
    {
        var parts = 0;
        For(begin, end, grain, (from, to) => body(Interlocked.Increment(ref parts) - 1, from, to));
    }

    /// <summary>A part of two spans that are stepped element by element.</summary>
    /// <param name="values">Values of the part.</param>
    /// <param name="gradients">Their gradients.</param>
    /// <param name="begin">Place of the part's first element in the whole.</param>
    public delegate void SpanPart(Span<float> values, ReadOnlySpan<float> gradients, long begin);

    /// <summary>Splits two spans of one length at the same places. For work on each element by itself, which any split leaves the same.</summary>
    /// <param name="values">Values.</param>
    /// <param name="gradients">Their gradients.</param>
    /// <param name="body">Takes a part; called on several threads at once.</param>
    public static void ForSpans(LongSpan<float> values, ReadOnlyLongSpan<float> gradients, SpanPart body)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(gradients.Length, values.Length);
        fixed (float* value = values, gradient = gradients)
        {
            float* v = value, g = gradient;
            For(0, values.Length, SpanGrain, (begin, end) =>
            {
                foreach (var (at, count) in LongBlocks.Of(end - begin))
                    body(new Span<float>(v + begin + at, count), new ReadOnlySpan<float>(g + begin + at, count), begin + at);
            });
        }
    }

    /// <summary>Splits a range whose parts must start at multiples of <paramref name="unit"/> (NF4 blocks, rows).</summary>
    /// <param name="begin">First index, a multiple of the unit.</param>
    /// <param name="end">One past the last.</param>
    /// <param name="unit">Where parts may start.</param>
    /// <param name="grain">Smallest part worth a thread.</param>
    /// <param name="body">Takes a part's begin and end.</param>
    public static void ForUnits(long begin, long end, long unit, long grain, Action<long, long> body)
    {
        // An empty range may begin anywhere; rounded to units it would not be empty.
        if (begin >= end) return;
        var first = begin / unit;
        var last = (end + unit - 1) / unit;
        For(first, last, Math.Max(1, grain / unit), (from, to) => body(from * unit, Math.Min(to * unit, end)));
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Call(long begin, long end, void* context)
    {
        var work = (Work)GCHandle.FromIntPtr((IntPtr)context).Target!;
        try
        {
            work.Body(begin, end);
        }
#pragma warning disable CA1031 // an exception that crosses libtorch's frames would end the process: it is kept and thrown again by the caller
        catch (Exception fault)
#pragma warning restore CA1031
        {
            work.Fault = ExceptionDispatchInfo.Capture(fault);
        }
    }

    [LibraryImport("torch_cpu", EntryPoint = "torch_parallel_for")]
    private static partial int ParallelFor(long begin, long end, long grain, delegate* unmanaged[Cdecl]<long, long, void*, void> body, void* context);

    private sealed class Work(Action<long, long> body)
    {
        public Action<long, long> Body { get; } = body;

        public ExceptionDispatchInfo? Fault { get; set; }
    }
}
