using System.Runtime.InteropServices;
using Trainer.Numerics.Machine;

namespace Trainer.Engine.Weights;

/// <summary>Where memory has nodes: pages of large blocks are dealt out to those of the process in turns, whoever touches them first.</summary>
/// <remarks>
/// Chunks of a loop go to whoever is free, so no part of a block has a node where it is used. Touched by the thread that loads or that runs first, all of it
/// would lie at one node, whose memory then serves every core; dealt out, all nodes' memory does.
/// </remarks>
internal static unsafe partial class MemoryNodes
{
    // Smaller blocks stay in caches.
    private const long LeastBytes = 4 << 20;
    private const int Interleave = 3;

    private static readonly Lazy<ulong[]> Mask = new(() => MaskOf(ProcessorTopology.Here));

    /// <summary>Deals out the whole pages of a block that nobody has touched yet; does nothing where there is one node.</summary>
    /// <param name="start">First byte.</param>
    /// <param name="length">Bytes.</param>
    public static void Spread(void* start, long length)
    {
        if (length >= LeastBytes && Mask.Value is { Length: > 0 } mask) _ = Spread(start, length, mask);
    }

    /// <summary>The nodes beside the processors of the process, a bit each; none where there are fewer than two.</summary>
    /// <param name="topology">What the system tells, or null.</param>
    public static ulong[] MaskOf(ProcessorTopology? topology)
    {
        List<int> nodes = [.. (topology?.Nodes ?? []).Where(node => node.Processors > 0).Select(node => node.Number)];
        if (nodes.Count < 2) return [];
        var mask = new ulong[nodes.Max() / 64 + 1];
        foreach (var node in nodes) mask[node / 64] |= 1UL << (node % 64);
        return mask;
    }

    /// <summary>Whether the system took it. Where it does not, pages lie where they are touched first, which is as right.</summary>
    internal static bool Spread(void* start, long length, ulong[] mask)
    {
        if (!OperatingSystem.IsLinux()) return false;
        var bind = RuntimeInformation.ProcessArchitecture switch { Architecture.X64 => 237, Architecture.Arm64 => 235, _ => -1 };
        long page = Environment.SystemPageSize;
        var (begin, end) = (((long)start + page - 1) / page * page, ((long)start + length) / page * page);
        if (bind < 0 || end <= begin) return false;
        fixed (ulong* nodes = mask)
        {
            // The number of bits is counted with one more, as the C library's own wrapper does.
            return Call(bind, (nint)begin, (nint)(end - begin), Interleave, (nint)nodes, mask.Length * 64 + 1, 0) == 0;
        }
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint Call(nint number, nint start, nint length, nint mode, nint nodes, nint bits, nint flags);
}
