using TorchSharp;
using Trainer.Engine.Native;

namespace Trainer.Engine.Tests.Fast;

[Trait("ring", "model")]
public sealed unsafe class ThreadTeamTests
{
    [Theory, InlineData(1, 1), InlineData(2, 1), InlineData(5, 64), InlineData(64, 3)]
    public void Every_index_is_visited_once_by_a_thread_that_has_scratch(int threads, long grain) => With(threads, () =>
    {
        var visits = new int[5001];
        var wrong = 0;
        ComputeThreads.For(0, visits.Length, grain, (slot, begin, end) =>
        {
            if (slot < 0 || slot >= threads) Interlocked.Increment(ref wrong);
            for (var i = begin; i < end; i++) Interlocked.Increment(ref visits[i]);
        });
        Assert.All(visits, count => Assert.Equal(1, count));
        Assert.Equal(0, wrong);
        ComputeThreads.For(0, 100, 1, (slot, _, _) =>
        {
            if (slot >= 2) Interlocked.Increment(ref wrong);
        }, most: 2);
        Assert.Equal(0, wrong);
    });

    [Fact]
    public void Who_is_slow_keeps_nobody_from_the_rest() => With(2, () =>
    {
        // The first chunk waits until all others are done: with parts given out beforehand its thread would wait for its own second part.
        using var others = new CountdownEvent(30);
        var isDone = false;
        ComputeThreads.For(0, 32, 2, (begin, end) =>
        {
            if (begin == 0) isDone = others.Wait(TimeSpan.FromSeconds(60));
            else others.Signal((int)(end - begin));
        });
        Assert.True(isDone);
    });

    [Fact]
    public void Of_several_faults_the_earliest_is_told_and_the_team_goes_on() => With(4, () =>
    {
        for (var i = 0; i < 200; i++)
        {
            using var both = new Barrier(2);
            var fault = Assert.Throws<ArithmeticException>(() => ComputeThreads.For(0, 64, 1, (begin, _) =>
            {
                // Two chunks fail at the same time, on two threads.
                if (begin > 3) return;
                if (begin is 0 or 2) both.SignalAndWait();
                throw new ArithmeticException(begin == 0 ? "first" : "later");
            }));
            Assert.Equal("first", fault.Message);
            long sum = 0;
            ComputeThreads.For(0, 1000, 1, (begin, end) => Interlocked.Add(ref sum, end - begin));
            Assert.Equal(1000, sum);
        }
    });

    [Fact]
    public void A_fault_leaves_out_what_nobody_has_begun() => With(1, () =>
    {
        var begun = 0;
        var loop = new TeamLoop(0, 100, 1, (_, begin, _) =>
        {
            begun++;
            if (begin == 9) throw new OperationCanceledException();
        }) { Threads = 1 };
        Assert.Throws<OperationCanceledException>(() => ThreadTeam.Shared.Run(loop));
        Assert.Equal(10, begun);
    });

    [Fact]
    public void A_loop_inside_a_loop_is_its_threads_own() => With(3, () =>
    {
        var (strangers, sum) = (0, 0L);
        ComputeThreads.For(0, 24, 1, (slot, _, _) =>
        {
            var here = Environment.CurrentManagedThreadId;
            ComputeThreads.For(0, 100_000, 1, (inner, begin, end) =>
            {
                if (Environment.CurrentManagedThreadId != here || inner != slot) Interlocked.Increment(ref strangers);
                Interlocked.Add(ref sum, end - begin);
            });
        });
        Assert.Equal(0, strangers);
        Assert.True(sum >= 100_000);
        Assert.False(ComputeThreads.IsInside);
    });

    [Fact]
    public void Several_callers_at_once_all_get_their_sums_and_the_team_does_not_grow() => With(3, () =>
    {
        ComputeThreads.For(0, 1000, 1, (_, _) => { });
        var before = ThreadTeam.Shared.Workers;
        var wrong = 0;
        List<Thread> callers = [];
        for (var c = 0; c < 5; c++)
        {
            var caller = new Thread(() =>
            {
                torch.set_num_threads(3);
                for (var i = 0; i < 300; i++)
                {
                    long sum = 0;
                    ComputeThreads.For(0, 257, 1, (begin, end) => Interlocked.Add(ref sum, (end - begin) * 3));
                    if (sum != 771) Interlocked.Increment(ref wrong);
                }
            });
            caller.Start();
            callers.Add(caller);
        }
        callers.ForEach(caller => caller.Join());
        Assert.Equal(0, wrong);
        Assert.Equal(before, ThreadTeam.Shared.Workers);
        Assert.True(before >= 2);
    });

    [Fact]
    public void The_team_has_as_many_threads_as_the_largest_loop_needed_and_keeps_them()
    {
        long Threads() => Directory.GetDirectories("/proc/self/task")
            .Count(task => File.ReadAllText(Path.Combine(task, "comm")).StartsWith("trainer compute", StringComparison.Ordinal));
        if (!OperatingSystem.IsLinux()) return;
        foreach (var threads in (int[])[6, 2, 1, 4, 6, 3])
            With(threads, () =>
            {
                for (var i = 0; i < 50; i++) ComputeThreads.For(0, 640, 1, (_, _) => { });
            });
        Assert.True(ThreadTeam.Shared.Workers >= 5);
        Assert.InRange(Threads(), 1, ThreadTeam.Shared.Workers);
    }

    [Fact]
    public void Who_is_interrupted_waits_for_the_loop_first() => With(2, () =>
    {
        var caller = Thread.CurrentThread;
        using var taken = new ManualResetEventSlim();
        var finished = 0;
        ComputeThreads.For(0, 2, 1, (_, _) =>
        {
            if (Thread.CurrentThread == caller)
            {
                taken.Wait();
                return;
            }
            taken.Set();
            // The caller has nothing left to do by now; it is asleep, or about to be.
            Thread.Sleep(50);
            caller.Interrupt();
            Thread.Sleep(50);
            Volatile.Write(ref finished, 1);
        });
        Assert.Equal(1, Volatile.Read(ref finished));
        Assert.Throws<ThreadInterruptedException>(() => Thread.Sleep(1000));
    });

    [Theory]
    [InlineData(false, true, 1, 300, 64)]
    [InlineData(false, true, 333, 16, 1000)]
    [InlineData(false, true, 200, 1000, 16)]
    [InlineData(false, false, 333, 777, 8)]
    [InlineData(true, false, 16, 500, 1030)]
    [InlineData(true, false, 130, 70, 333)]
    // Sides that would leave a last part of 9 columns, and of one row.
    [InlineData(false, false, 67, 521, 583)]
    [InlineData(true, false, 385, 48, 200)]
    public void A_product_cut_for_any_number_of_threads_has_the_bits_of_the_whole(bool ta, bool tb, int m, int n, int k)
    {
        var random = new Random(2);
        float[] Values(int count) => [.. Enumerable.Range(0, count).Select(_ => (float)random.NextDouble() - 0.5f)];
        float[] a = Values(m * k), b = Values(n * k), c = Values(m * n);
        float[] On(int threads)
        {
            float[] result = [.. c];
            With(threads, () =>
            {
                fixed (float* left = a, right = b, target = result)
                {
                    if (ta) Gemm.TransposedTimes(m, n, k, 0.5f, left, m, right, n, 1f, target, n);
                    else if (tb) Gemm.TimesTransposed(m, n, k, 0.5f, left, k, right, k, 1f, target, n);
                    else Gemm.Times(m, n, k, 0.5f, left, k, right, n, 1f, target, n);
                }
            });
            return result;
        }
        var alone = On(1);
        for (var i = 0; i < m; i += 37)
        {
            for (var j = 0; j < n; j += 11)
            {
                double expected = c[i * n + j];
                for (var x = 0; x < k; x++) expected += 0.5 * a[ta ? x * m + i : i * k + x] * b[tb ? j * k + x : x * n + j];
                Assert.Equal(expected, alone[i * n + j], 1e-4);
            }
        }
        foreach (var threads in (int[])[2, 3, 16, 64]) Assert.Equal(alone, On(threads));
    }

    [Theory]
    [InlineData(512, 16, 2048, 64)]
    [InlineData(512, 2048, 16, 64)]
    [InlineData(16, 2048, 512, 64)]
    public void The_adapters_of_a_1B_model_feed_many_threads(long m, long n, long k, int threads)
    {
        var (high, wide) = Gemm.Cut(m, n, k, threads);
        Assert.InRange(Gemm.Parts(m, high) * Gemm.Parts(n, wide), 16, 4 * threads);
        Assert.True(high == m || high % 16 == 0);
        Assert.True(wide == n || wide % 16 == 0);
    }

    private static void With(int threads, Action body)
    {
        var before = torch.get_num_threads();
        torch.set_num_threads(threads);
        try
        {
            body();
        }
        finally
        {
            torch.set_num_threads(before);
        }
    }
}
