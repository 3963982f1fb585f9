using System.Diagnostics;
using Trainer.Engine.Native;
using Trainer.Models;

namespace Trainer.Engine.Tests.Fast;

/// <summary>A device whose every request waits for a number of others, or a while: it counts what is in flight and keeps the order of the beginnings.</summary>
internal sealed unsafe class SlowFile(long bytes, int together) : IBlockFile
{
    private readonly Lock _gate = new();
    private int _flying;
    private int _ended;

    public string Path => "slow device";

    public List<long> Offsets { get; } = [];

    public int Most { get; private set; }

    public long FailsAt { get; init; } = -1;

    /// <summary>What lies at a byte.</summary>
    public static byte At(long offset) => (byte)((offset * 31) ^ (offset >> 13));

    public void Read(long offset, byte* target, long length, long needed, CancellationToken stop)
    {
        stop.ThrowIfCancellationRequested();
        lock (_gate)
        {
            Offsets.Add(offset);
            Most = Math.Max(Most, ++_flying);
        }
        // Latency: the request is answered once as many are under way as should be, or nobody comes any more.
        var start = Stopwatch.GetTimestamp();
        while (Volatile.Read(ref _flying) + Volatile.Read(ref _ended) < together && Stopwatch.GetElapsedTime(start).TotalSeconds < 20) Thread.Sleep(1);
        try
        {
            if (FailsAt >= 0 && offset >= FailsAt) throw new ModelException($"cannot read '{Path}' at byte {offset}: input/output error");
            for (long i = 0; i < Math.Min(length, bytes - offset); i++) target[i] = At(offset + i);
        }
        finally
        {
            lock (_gate)
            {
                _flying--;
                _ended++;
            }
        }
    }

    public void Dispose()
    {
    }
}
