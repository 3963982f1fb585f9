using Trainer.Distributed;

namespace Trainer.Engine.Tests.Training;

/// <summary>Ranks that are threads of one process: what they say to each other lies in common arrays, between two barriers.</summary>
internal sealed class ThreadRanks(int rank, ThreadRanks.Meeting meeting) : ICollective
{
    public int Rank => rank;

    public int Size => meeting.Size;

    public int LocalRank => rank;

    public int LocalSize => meeting.Size;

    public string Description => $"{Size} threads";

    /// <summary>Runs a body on each rank and gives what each threw, or null.</summary>
    public static Exception?[] Run(int size, Action<ThreadRanks> body)
    {
        using var meeting = new Meeting(size);
        var faults = new Exception?[size];
        var threads = Enumerable.Range(0, size).Select(
            rank => new Thread(() => faults[rank] = Record.Exception(() => body(new ThreadRanks(rank, meeting)))) { IsBackground = true }).ToList();
        foreach (var thread in threads) thread.Start();
        Assert.All(threads, thread => Assert.True(thread.Join(TimeSpan.FromSeconds(60)), "a rank hangs"));
        return faults;
    }

    public void Sum(Span<float> values, Span<double> riders)
    {
        var said = meeting.Say(rank, (values.ToArray(), riders.ToArray()));
        for (var i = 0; i < values.Length; i++) values[i] = said.Sum(each => (((float[], double[]))each).Item1[i]);
        for (var i = 0; i < riders.Length; i++) riders[i] = said.Sum(each => (((float[], double[]))each).Item2[i]);
    }

    public void Broadcast(Span<byte> bytes) => ((byte[])meeting.Say(rank, bytes.ToArray())[0]).CopyTo(bytes);

    public void Gather(ReadOnlySpan<byte> mine, Span<byte> all)
    {
        var said = meeting.Say(rank, mine.ToArray());
        for (var from = 0; from < Size; from++) ((byte[])said[from]).CopyTo(all[(from * mine.Length)..]);
    }

    public void Barrier() => meeting.Say(rank, rank);

    public void Abort(int exitCode) => throw new NotSupportedException("a thread is not ended from outside");

    public void Dispose()
    {
        // Holds nothing; the meeting is its maker's.
    }

    public sealed class Meeting(int size) : IDisposable
    {
        private readonly object[] _said = new object[size];
        private readonly Barrier _barrier = new(size);

        public int Size => size;

        public object[] Say(int rank, object what)
        {
            _said[rank] = what;
            Assert.True(_barrier.SignalAndWait(TimeSpan.FromSeconds(30)), $"rank {rank} waits for another");
            var all = (object[])_said.Clone();
            _barrier.SignalAndWait();
            return all;
        }

        public void Dispose() => _barrier.Dispose();
    }
}
