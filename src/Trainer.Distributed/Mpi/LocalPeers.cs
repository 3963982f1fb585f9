using System.Buffers.Binary;
using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Trainer.Distributed.Mpi;

/// <summary>
/// The other ranks of this machine, as processes. A launcher waits until the last of its ranks has ended, so one that is stopped between the last call
/// of MPI and its end would hold it for ever: the first rank of each machine waits for the others and ends those that stay. Which ranks are on one machine the
/// processes say themselves: MPI goes by the names of hosts, and two of them may be one machine.
/// </summary>
internal sealed class LocalPeers
{
    private const int PollMilliseconds = 20;

    private readonly (int Rank, int Process, long Started)[] _others;

    private LocalPeers((int, int, long)[] others) => _others = others;

    /// <summary>Makes the ranks known to each other; none comes back before all are there. A rank that is not the first of its machine waits for
    /// nobody.</summary>
    /// <param name="ranks">The ranks.</param>
    public static LocalPeers Meet(ICollective ranks)
    {
        const int Bytes = 2 * sizeof(long) + sizeof(int);
        Span<byte> mine = stackalloc byte[Bytes];
        BinaryPrimitives.WriteInt64LittleEndian(mine, Place());
        BinaryPrimitives.WriteInt64LittleEndian(mine[sizeof(long)..], Started(Environment.ProcessId) ?? 0);
        BinaryPrimitives.WriteInt32LittleEndian(mine[(2 * sizeof(long))..], Environment.ProcessId);
        var all = new byte[ranks.Size * Bytes];
        ranks.Gather(mine, all);
        // What Gather may do and Barrier may not: come back before the last rank has come.
        ranks.Barrier();
        var place = BinaryPrimitives.ReadInt64LittleEndian(mine);
        var here = all.Chunk(Bytes)
            .Select((one, rank) => (Rank: rank, Place: BinaryPrimitives.ReadInt64LittleEndian(one),
                Process: BinaryPrimitives.ReadInt32LittleEndian(one.AsSpan(2 * sizeof(long))),
                Started: BinaryPrimitives.ReadInt64LittleEndian(one.AsSpan(sizeof(long)))))
            .Where(one => one.Place == place && one.Started != 0).ToList();
        return new LocalPeers(here.Count > 0 && here[0].Rank == ranks.Rank ? [.. here.Skip(1).Select(one => (one.Rank, one.Process, one.Started))] : []);
    }

    /// <summary>Waits for the others to end and ends those that do not; a sentence about them, or null.</summary>
    /// <param name="limit">How long they have.</param>
    public string? EndWithin(TimeSpan limit)
    {
        var begun = Stopwatch.GetTimestamp();
        var left = _others.Where(IsThere).ToArray();
        while (left.Length > 0 && Stopwatch.GetElapsedTime(begun) < limit)
        {
            Thread.Sleep(PollMilliseconds);
            left = [.. left.Where(IsThere)];
        }
        if (left.Length == 0) return null;
        foreach (var (_, process, _) in left) Kill(process);
        return $"rank {string.Join(", ", left.Select(one => one.Rank))} did not end within {limit.TotalSeconds:0} s after the work was done (stopped, or "
            + "hanging): ended by the first rank of its machine; the run itself is complete";
    }

    private static bool IsThere((int Rank, int Process, long Started) one) => Started(one.Process) == one.Started;

    /// <summary>When a process began, in ticks of the system's clock, so that its number alone is not mistaken for it; null where it ended, or is told by no
    /// /proc.</summary>
    internal static long? Started(int process)
    {
        try
        {
            var line = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/stat"));
            // The name, in brackets, may hold anything; state is field 3, the start field 22.
            var fields = line[(line.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] is "Z" or "X" ? null : long.Parse(fields[19], CultureInfo.InvariantCulture);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    // Numbers of processes mean the same inside one namespace of them alone: containers on one machine have each its own.
    private static long Place()
    {
        var space = Directory.Exists("/proc/self/ns") ? File.ResolveLinkTarget("/proc/self/ns/pid", returnFinalTarget: false)?.Name : null;
        const string Boot = "/proc/sys/kernel/random/boot_id";
        return BinaryPrimitives.ReadInt64LittleEndian(
            SHA256.HashData(Encoding.UTF8.GetBytes($"{space} {(File.Exists(Boot) ? File.ReadAllText(Boot) : Environment.MachineName)}")));
    }

    private static void Kill(int process)
    {
        try
        {
            Process.GetProcessById(process).Kill();
        }
        catch (Exception fault) when (fault is ArgumentException or InvalidOperationException or Win32Exception)
        {
            // It ended by itself meanwhile.
        }
    }
}
