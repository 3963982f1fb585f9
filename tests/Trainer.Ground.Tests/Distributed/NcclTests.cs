using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Trainer.Distributed;
using Trainer.Distributed.Nccl;
using Trainer.Ground.Tests.ChatTemplates;

namespace Trainer.Ground.Tests.Distributed;

/// <summary>The binding of NCCL against a library that stands for it and for the driver (tests/fixtures/nccl): each rank is a thread here.</summary>
public sealed class NcclTests
{
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(20);

    // One copy for all tests: imports are resolved once a process.
    private static readonly Lazy<string> Built = new(() =>
    {
        var folder = Directory.CreateDirectory(Path.Combine(AppContext.BaseDirectory, "nccl")).FullName;
        using var compiler = Process.Start(Path.Combine(TemplateFixtures.Repository, "tests", "fixtures", "nccl", "build.sh"), [folder]);
        Assert.True(compiler.WaitForExit(TimeSpan.FromSeconds(60)) && compiler.ExitCode == 0);
        return folder;
    });

    [SkippableFact]
    public void Ranks_sum_share_and_gather_from_host_and_card()
    {
        var cards = Load();
        var port = FreePort();
        OnRanks(3, rank =>
        {
            using var ranks = NcclCollective.Join(Place(rank, 3, port), cards, Patient);
            Assert.Equal((rank, 3, rank, 3, rank), (ranks.Rank, ranks.Size, ranks.LocalRank, ranks.LocalSize, ranks.Device));
            Assert.Equal("3 ranks over NCCL 2.21.5", ranks.Description);

            float[] values = [1 + rank, 10, -rank];
            double[] riders = [0.5, rank];
            ranks.Sum(values, riders);
            Assert.Equal([6f, 30f, -3f], values);
            Assert.Equal([1.5, 3], riders);

            Assert.Equal("rank 0 says", ranks.Share(rank == 0 ? "rank 0 says" : "no"));
            Assert.Equal(2, ranks.FindDifference(rank == 2 ? "other" : "same"));
            SumOnCard(ranks, rank);
            ranks.Barrier();
        });
    }

    [SkippableFact]
    public void A_rank_that_does_not_come_to_a_sum_ends_the_others_by_the_deadline()
    {
        var cards = Load();
        var port = FreePort();
        using var told = new ManualResetEventSlim();
        OnRanks(2, rank =>
        {
            var ranks = NcclCollective.Join(Place(rank, 2, port), cards, TimeSpan.FromSeconds(rank == 0 ? 0.5 : 20));
            if (rank == 1) Assert.True(told.Wait(Patient));
            else Assert.Contains("waited", Assert.Throws<CollectiveException>(() => ranks.Sum(new float[4], [])).Message, StringComparison.Ordinal);
            told.Set();
            ranks.Abort(70);
        });
    }

    [SkippableFact]
    public void A_rank_that_ends_is_named_to_all_others_at_once()
    {
        var cards = Load();
        var port = FreePort();
        using var joined = new CountdownEvent(3);
        OnRanks(3, rank =>
        {
            var ranks = NcclCollective.Join(Place(rank, 3, port), cards, TimeSpan.FromMinutes(10));
            joined.Signal();
            Assert.True(joined.Wait(Patient));
            // Its socket closes as it would with its process.
            if (rank != 2)
                Assert.StartsWith("rank 2 of 3 ended", Assert.Throws<CollectiveException>(() => ranks.Sum(new float[4], [])).Message, StringComparison.Ordinal);
            ranks.Abort(70);
        });
    }

    [SkippableFact]
    public void More_ranks_than_cards_and_libraries_that_are_not_there_are_refused()
    {
        Load();
        Assert.Contains("start one rank a card", Assert.Throws<MissingLibraryException>(() => NcclCollective.Join(Place(2, 3, 1), cards: 2, Patient)).Message,
            StringComparison.Ordinal);
        var driver = Library("libcuda.so.1");
        Assert.Contains("their driver is not here", Assert.Throws<MissingLibraryException>(() => NcclLibrary.Load(driver: "/nowhere/libcuda.so.1")).Message,
            StringComparison.Ordinal);
        Assert.Contains("install libnccl2", Assert.Throws<MissingLibraryException>(() => NcclLibrary.Load("/nowhere/libnccl.so.2", driver)).Message,
            StringComparison.Ordinal);
        Assert.Contains("is no NCCL library", Assert.Throws<MissingLibraryException>(() => NcclLibrary.Load("libc.so.6", driver)).Message,
            StringComparison.Ordinal);
        Assert.Contains("is no driver", Assert.Throws<MissingLibraryException>(() => NcclLibrary.Load(driver: "libc.so.6")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Strangers_on_the_port_are_sent_away_and_a_rank_that_comes_twice_is_refused()
    {
        var port = FreePort();
        var zero = Task.Run(() => Assert.Throws<CollectiveException>(() => Lifeline.Join(Place(0, 3, port), Patient)));
        var one = await Task.Run(() => Lifeline.Join(Place(1, 3, port), Patient));
        using (var stranger = new Socket(SocketType.Stream, ProtocolType.Tcp))
        {
            await stranger.ConnectAsync(IPAddress.Loopback, port);
            await stranger.SendAsync("GET / HTTP/1.1\r\n\r\n"u8.ToArray());
            Assert.True(IsClosed(stranger));
        }
        var again = await Task.Run(() => Lifeline.Join(Place(1, 3, port), Patient));
        Assert.Contains("came as rank 1 of 3", (await zero).Message, StringComparison.Ordinal);
        one.Break();
        again.Break();
    }

    [Fact]
    public void Ranks_that_stay_away_are_named()
        => Assert.StartsWith("rank 1, 2 of 3 did not come",
            Assert.Throws<CollectiveException>(() => Lifeline.Join(Place(0, 3, FreePort()), TimeSpan.FromMilliseconds(20))).Message, StringComparison.Ordinal);

    private static bool IsClosed(Socket socket)
    {
        try
        {
            return socket.Receive(new byte[1]) == 0;
        }
        catch (SocketException)
        {
            // Closed with words unread.
            return true;
        }
    }

    private static unsafe void SumOnCard(NcclCollective ranks, int rank)
    {
        // The stand-in's cards have the host's memory.
        var values = (float*)NativeMemory.Alloc(2, sizeof(float));
        (values[0], values[1]) = (rank, 1);
        double[] riders = [1];
        ranks.Sum((nint)values, 2, riders);
        Assert.Equal((3f, 3f, 3.0), (values[0], values[1], riders[0]));
        NativeMemory.Free(values);
    }

    private static string Library(string name)
    {
        Skip.IfNot(OperatingSystem.IsLinux() && File.Exists("/usr/bin/cc"), "no C compiler is here (apt-get install gcc)");
        return Path.Combine(Built.Value, name);
    }

    private static int Load() => NcclLibrary.Load(Library("libnccl.so.2"), Library("libcuda.so.1"));

    private static void OnRanks(int count, Action<int> body)
    {
        var faults = new List<string>();
        var threads = Enumerable.Range(0, count).Select(rank => new Thread(() =>
        {
            try
            {
                body(rank);
            }
#pragma warning disable CA1031 // told after all threads have ended
            catch (Exception fault)
#pragma warning restore CA1031
            {
                lock (faults) faults.Add($"rank {rank}: {fault}");
            }
        })
        { IsBackground = true }).ToList();
        foreach (var thread in threads) thread.Start();
        Assert.All(threads, thread => Assert.True(thread.Join(TimeSpan.FromSeconds(60)), "a rank hangs"));
        Assert.True(faults.Count == 0, string.Join('\n', faults));
    }

    private static NcclPlace Place(int rank, int size, int port) => new("torchrun", rank, size, rank, "127.0.0.1", port);

    private static int FreePort()
    {
        using var listener = new Socket(SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.IPv6Any, 0));
        return ((IPEndPoint)listener.LocalEndPoint!).Port;
    }
}
