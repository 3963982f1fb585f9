using Trainer.Engine.Fast.Streaming;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using Trainer.Models;

namespace Trainer.Engine.Tests.Fast;

/// <summary>The order of reading, computing and letting go, with a source that records instead of reading.</summary>
[Trait("ring", "unit")]
public sealed unsafe class LayerStreamTests
{
    [Theory]
    // A base that fits is read through the page cache, once for all readers.
    [InlineData(1, 7, false)]
    [InlineData(2, 7, false)]
    [InlineData(16, 7, false)]
    // One that does not fit: past the cache by each at 2.7 GB/s, or through it by all at 1.
    [InlineData(1, 8, true)]
    [InlineData(2, 8, true)]
    [InlineData(3, 8, false)]
    public void Readers_of_one_machine_go_through_the_page_cache_where_that_is_faster(int readers, int bytes, bool past) =>
        Assert.Equal(past, new StreamReaders(readers, 10).ReadPastTheCache(bytes));

    [Theory, InlineData(0, 28), InlineData(1, 23), InlineData(3, 18), InlineData(6, 6)]
    public void A_late_reader_costs_time_and_no_layer_is_computed_before_it_is_there(int kept, int loads)
    {
        var source = new SlowSource();
        using var stream = new LayerStream(source, 6, new StreamWindow(kept, false));
        for (var pass = 0; pass < 3; pass++)
        {
            for (var l = 0; l < 6; l++) Visit(l, l < 5 ? l + 1 : 4);
            for (var l = 4; l >= 0; l--) Visit(l, l - 1);
        }
        Assert.InRange(source.Most, 1, Math.Min(6, kept + 2));
        // Zigzag of six layers three times: the ends are still there when the direction turns, and kept layers are read once.
        Assert.Equal(loads, source.Loads);

        void Visit(int layer, int next)
        {
            stream.Visit(layer, next);
            Assert.True(source.IsPlaced(layer));
        }
    }

    [Fact]
    public void A_pass_that_was_broken_off_leaves_nothing_behind_that_the_next_one_would_trip_over()
    {
        var source = new SlowSource();
        using var stream = new LayerStream(source, 6, new StreamWindow(0, false));
        for (var i = 0; i < 20; i++)
        {
            stream.Visit(i * 5 % 6, i * 5 % 6 == 5 ? -1 : i * 5 % 6 + 1);
            Assert.True(source.IsPlaced(i * 5 % 6));
        }
        // One that was on its way when the pass went elsewhere.
        Assert.InRange(source.Most, 1, 3);
    }

    [Fact]
    public void What_befalls_the_reader_is_thrown_by_the_step_that_waits_for_the_layer_and_by_no_earlier_one()
    {
        using var stream = new LayerStream(new SlowSource { Broken = 3 }, 6, new StreamWindow(0, false));
        for (var l = 0; l < 3; l++) stream.Visit(l, l + 1);
        Assert.Equal("the disk is gone", Assert.Throws<ModelException>(() => stream.Visit(3, 4)).Message);
        Assert.Equal("the disk is gone", Assert.Throws<ModelException>(() => stream.Visit(3, 4)).Message);
    }

    [Fact]
    public void The_reader_ends_in_the_middle_of_a_layer_that_nobody_waits_for_any_more()
    {
        var stream = new LayerStream(new SlowSource { Delay = TimeSpan.FromMinutes(10), Slow = 1 }, 6, new StreamWindow(0, false));
        stream.Visit(0, 1);
        stream.Dispose();
    }

    [Theory]
    [InlineData(null, 0, false), InlineData(299L, 0, false), InlineData(300L, 1, false), InlineData(250L, 0, true), InlineData(449L, 1, true),
        InlineData(1049L, 7, true), InlineData(1050L, 10, true)]
    public void A_window_takes_two_layers_then_the_head_then_more_layers(long? bytes, int kept, bool head)
    {
        // Layers of 100, the head of 50; 299 has room for the head but is the smallest case of a head of 100.
        var window = StreamWindow.Of(bytes, 100, 10, bytes is 299 or 300 ? 101 : 50);
        Assert.Equal(new StreamWindow(kept, head), window);
        Assert.True(window.Bytes(100, 10, 50) <= Math.Max(200, bytes ?? 0));
        Assert.Equal(kept, Enumerable.Range(0, 10).Count(layer => window.Keeps(layer, 10)));
    }

    [Fact]
    public void A_file_shorter_than_what_is_needed_of_it_and_a_disk_that_gives_nothing_are_named()
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, new byte[5000]);
            using var file = DirectFile.TryOpen(path) ?? DirectFile.OpenCached(path)!;
            using var buffer = NativeBlock.OnLargePages(8192);
            file.Read(0, buffer.Start, 8192, 5000, default);
            Assert.Contains("ends at byte 5000", Assert.Throws<ModelException>(() => file.Read(0, buffer.Start, 8192, 5001, default)).Message,
                StringComparison.Ordinal);
            // Address 0 of this process: the one read that fails with an input/output error on every Linux.
            if (!OperatingSystem.IsLinux()) return;
            using var memory = DirectFile.OpenCached("/proc/self/mem")!;
            Assert.Contains("Input/output error", Assert.Throws<ModelException>(() => memory.Read(0, buffer.Start, 4096, 4096, default)).Message,
                StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private sealed class SlowSource : ILayerSource
    {
        private readonly HashSet<int> _loaded = [];
        private readonly HashSet<int> _placed = [];

        public int Broken { get; init; } = -1;

        public int Slow { get; init; } = -1;

        public TimeSpan Delay { get; init; } = TimeSpan.FromMilliseconds(3);

        public int Loads { get; private set; }

        public int Most { get; private set; }

        public IntPtr Find(int layer, IntPtr mapped) => mapped;

        public string Description => "slowly";

        public bool IsPlaced(int layer)
        {
            lock (_loaded) return _placed.Contains(layer);
        }

        public void Load(int layer, CancellationToken stop)
        {
            if (Slow < 0 || layer == Slow) stop.WaitHandle.WaitOne(Delay);
            stop.ThrowIfCancellationRequested();
            if (layer == Broken) throw new ModelException("the disk is gone");
            lock (_loaded)
            {
                Assert.True(_loaded.Add(layer));
                Loads++;
                Most = Math.Max(Most, _loaded.Count);
            }
        }

        public void Place(int layer)
        {
            lock (_loaded)
            {
                Assert.Contains(layer, _loaded);
                _placed.Add(layer);
            }
        }

        public void Release(int layer)
        {
            lock (_loaded)
            {
                _loaded.Remove(layer);
                _placed.Remove(layer);
            }
        }

        public void Dispose()
        {
        }
    }
}
