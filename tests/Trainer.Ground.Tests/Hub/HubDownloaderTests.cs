using System.Collections.Concurrent;
using System.Net;
using Trainer.Ground.Tests.Checkpoints;
using Trainer.Hub;

namespace Trainer.Ground.Tests.Hub;

[Trait("ring", "unit")]
public sealed class HubDownloaderTests : IDisposable
{
    private static readonly HubModelId Model = HubModelId.TryParse("org/tiny")!;

    private readonly FakeHub _hub = new();
    private readonly TempFolder _temp = new();
    private readonly ConcurrentQueue<HubProgress> _progress = new();
    private readonly byte[] _weights = new byte[100_000];
    private HubOptions _options;

    // Server and client block threads of one pool, beside other tests: a pool that grows by one thread a second makes live connections look silent.
    static HubDownloaderTests() => ThreadPool.SetMinThreads(32, 32);

    public HubDownloaderTests()
    {
        new Random(1).NextBytes(_weights);
        _hub.Files["config.json"] = "{}"u8.ToArray();
        _hub.Files["model.safetensors"] = _weights;
        _hub.Files["pytorch_model.bin"] = _weights;
        _options = new HubOptions { Endpoint = new Uri(_hub.Endpoint), CacheFolder = _temp["hub"], Token = "hf_secret", RangeBytes = 16_384, Connections = 4,
            StallLimit = TimeSpan.FromMinutes(80) };
    }

    public void Dispose()
    {
        _hub.Dispose();
        _temp.Dispose();
    }

    private string Download(HubModelId? model = null, params string[] includes) =>
        new HubDownloader(_options, null, new FastClock()).DownloadAsync(model ?? Model, includes, _progress.Enqueue, CancellationToken.None).GetAwaiter()
        .GetResult();

    private string Fault(params string[] includes)
    {
        var message = Assert.Throws<NotAvailableException>(() => Download(null, includes)).Message;
        Assert.DoesNotContain("hf_secret", message);
        Assert.DoesNotContain("signature", message);
        return message;
    }

    private void AssertWhole(string folder)
    {
        Assert.Equal(_weights, File.ReadAllBytes(Path.Combine(folder, "model.safetensors")));
        Assert.Equal("{}", File.ReadAllText(Path.Combine(folder, "config.json")));
        Assert.DoesNotContain(Directory.GetFiles(_temp["hub"], "*", SearchOption.AllDirectories), path => path.EndsWith(".part") || path.EndsWith(".ranges"));
    }

    [Fact]
    public void What_a_kill_left_beside_a_whole_blob_goes_at_the_next_start()
    {
        AssertWhole(Download());
        var blob = Directory.GetFiles(Path.Combine(_temp["hub"], "models--org--tiny", "blobs")).MaxBy(static path => new FileInfo(path).Length)!;
        File.WriteAllText(blob + ".ranges", "100000 16384\n0.\n");
        File.WriteAllText(blob + ".part", "");
        var reference = Path.Combine(_temp["hub"], "models--org--tiny", "refs", "main");
        File.WriteAllText(reference + ".new", "half");
        AssertWhole(Download());
        Assert.Equal([reference], Directory.GetFiles(Path.GetDirectoryName(reference)!));
    }

    [Fact]
    public async Task A_data_set_comes_from_its_own_addresses_into_its_own_folder()
    {
        _hub.IsDataset = true;
        _hub.Files["README.md"] = "---\n---\n"u8.ToArray();
        _hub.Files["data/train-00000-of-00001.parquet"] = _weights;
        _hub.Files["data/big.jsonl.zst"] = _weights;
        _hub.Files["load.py"] = "import os"u8.ToArray();
        var set = Model with { Kind = HubKind.Dataset };
        var folder = Download(set);
        Assert.Equal(_temp["hub", "datasets--org--tiny", "snapshots", FakeHub.Commit], folder);
        Assert.Equal(_weights, File.ReadAllBytes(Path.Combine(folder, "data", "train-00000-of-00001.parquet")));
        Assert.Equal(["README.md", "config.json", "data/big.jsonl.zst", "data/train-00000-of-00001.parquet"],
            Directory.GetFiles(folder, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(folder, path)).Order(StringComparer.Ordinal));
        Assert.Equal(folder, new HubCache(_temp["hub"]).Snapshot(set));
        Assert.Null(new HubCache(_temp["hub"]).Snapshot(Model));
        Assert.Equal(_hub.Files.Keys.Order(StringComparer.Ordinal),
            (await new HubDownloader(_options, null, new FastClock()).ListAsync(set, CancellationToken.None)).Order(StringComparer.Ordinal));
        Assert.All(_hub.Requests, one => Assert.True(one.Where == "storage" || one.Path.Contains("/datasets/", StringComparison.Ordinal), one.Path));
    }

    [Fact]
    public void What_is_no_data_set_is_said_in_its_words()
    {
        _hub.IsDataset = true;
        _hub.Fault = static (where, context) => { context.Response.StatusCode = 404; return true; };
        var message = Assert.Throws<NotAvailableException>(() => Download(Model with { Kind = HubKind.Dataset })).Message;
        Assert.Contains("has no data set 'org/tiny'", message);
    }

    [Fact]
    public void A_model_comes_in_the_layout_of_the_cache_and_is_then_found_there()
    {
        var folder = Download();
        AssertWhole(folder);
        Assert.Equal(_temp["hub", "models--org--tiny", "snapshots", FakeHub.Commit], folder);
        Assert.Equal(FakeHub.Commit, File.ReadAllText(_temp["hub", "models--org--tiny", "refs", "main"]));
        Assert.Equal($"../../blobs/{FakeHub.Etag(_weights, true)}", new FileInfo(Path.Combine(folder, "model.safetensors")).LinkTarget);
        Assert.False(File.Exists(Path.Combine(folder, "pytorch_model.bin")));
        Assert.Equal(folder, new ModelSource(_options).Resolve("org/tiny"));
        Assert.Equal(folder, new ModelSource(_options).Resolve($"org/tiny@{FakeHub.Commit}"));
        var last = _progress.Last();
        Assert.Equal((100_002, 100_002, 2, 2), (last.BytesDone, last.BytesTotal, last.FilesDone, last.FilesTotal));
        Assert.Equal(7, _hub.Count("storage", "GET"));
    }

    [Fact]
    public void A_second_download_fetches_no_file_again()
    {
        Download();
        var before = _hub.Requests.Count(one => one.Method == "GET" && !one.Path.StartsWith("/api"));
        Download();
        Assert.Equal(before, _hub.Requests.Count(one => one.Method == "GET" && !one.Path.StartsWith("/api")));
    }

    [Fact]
    public void The_token_goes_to_the_endpoint_and_never_to_where_it_redirects()
    {
        Download();
        Assert.All(_hub.Requests, one => Assert.Equal(one.Where == "endpoint" ? "Bearer hf_secret" : null, one.Token));
        Assert.DoesNotContain("hf_secret", _options.ToString());
        Assert.DoesNotContain(_progress, one => one.Note?.Contains("hf_secret") == true);
    }

    [Fact]
    public void A_mirror_that_sends_everything_on_to_another_host_is_followed_without_the_token()
    {
        using var other = new FakeHub();
        foreach ((var name, var bytes) in _hub.Files) other.Files[name] = bytes;
        _hub.Fault = (_, context) =>
        {
            context.Response.StatusCode = 308;
            context.Response.Headers["Location"] = other.Endpoint + context.Request.Url!.PathAndQuery;
            return true;
        };
        AssertWhole(Download());
        Assert.All(_hub.Requests, one => Assert.Equal("Bearer hf_secret", one.Token));
        Assert.NotEmpty(other.Requests);
        Assert.All(other.Requests, one => Assert.Null(one.Token));
    }

    [Fact]
    public void Connections_that_break_are_taken_up_where_they_broke()
    {
        var broken = 0;
        _hub.Fault = (where, context) =>
        {
            if (where != "storage" || Interlocked.Increment(ref broken) % 3 != 0) return false;
            var ends = context.Request.Headers["Range"]!["bytes=".Length..].Split('-');
            int from = int.Parse(ends[0]), to = int.Parse(ends[1]) + 1;
            context.Response.StatusCode = 206;
            context.Response.Headers["Content-Range"] = $"bytes {from}-{to - 1}/{_weights.Length}";
            context.Response.ContentLength64 = to - from;
            context.Response.OutputStream.Write(_weights.AsSpan(from, (to - from) / 2));
            context.Response.OutputStream.Flush();
            context.Response.Abort();
            return true;
        };
        AssertWhole(Download());
        Assert.Contains(_progress, one => one.Note?.Contains("trying again") == true);
        Assert.Contains(_hub.Requests, one => one.Where == "storage" && one.Range is not null
            && int.Parse(one.Range["bytes=".Length..].Split('-')[0]) % 16_384 != 0);
    }

    [Fact]
    public void A_download_that_was_stopped_goes_on_with_what_is_missing()
    {
        using var stop = new CancellationTokenSource();
        _hub.Fault = (where, _) =>
        {
            if (where == "storage" && _hub.Count("storage", "GET") > 3) stop.Cancel();
            return false;
        };
        _options = _options with { Connections = 1 };
        Assert.ThrowsAny<OperationCanceledException>(
            () => new HubDownloader(_options, null, new FastClock()).DownloadAsync(Model, [], null, stop.Token).GetAwaiter().GetResult());
        Assert.Throws<NotAvailableException>(() => new ModelSource(_options).Resolve("org/tiny"));
        _hub.Fault = null;
        _hub.Requests.Clear();
        AssertWhole(Download());
        Assert.InRange(_hub.Count("storage", "GET"), 1, 5);
    }

    [Fact]
    public void A_server_without_ranges_serves_as_well()
    {
        _hub.KnowsRanges = false;
        AssertWhole(Download());
    }

    [Fact]
    public void A_wrong_checksum_is_fetched_once_more_and_then_refused()
    {
        _hub.Served = (name, bytes) => name == "model.safetensors" ? [.. bytes[..^1], (byte)(bytes[^1] ^ 1)] : bytes;
        Assert.Contains("its checksum is", Fault());
        Assert.Equal(14, _hub.Count("storage", "GET"));
        Assert.False(File.Exists(_temp["hub", "models--org--tiny", "snapshots", FakeHub.Commit, "model.safetensors"]));
        Assert.Throws<NotAvailableException>(() => new ModelSource(_options).Resolve("org/tiny"));
    }

    [Fact]
    public void A_small_file_with_a_wrong_checksum_is_refused_too()
    {
        _hub.Served = (name, bytes) => name == "config.json" ? "{!"u8.ToArray() : bytes;
        Assert.Contains("'config.json'", Fault());
    }

    [Theory]
    [InlineData(50_000)]
    [InlineData(200_000)]
    public void A_server_that_lies_about_sizes_is_named(long announced)
    {
        _hub.AnnouncedBytes = announced;
        Assert.Contains("contradicts itself about the file's size", Fault());
        Assert.False(File.Exists(_temp["hub", "models--org--tiny", "blobs", FakeHub.Etag(_weights, true)]));
    }

    [Fact]
    public void A_silent_connection_is_given_up_and_tried_again()
    {
        _options = _options with { StallLimit = TimeSpan.FromSeconds(500) };
        var calls = 0;
        _hub.Fault = (where, _) =>
        {
            if (where == "storage" && Interlocked.Increment(ref calls) == 1) Thread.Sleep(4000);
            return false;
        };
        AssertWhole(Download());
        Assert.Contains(_progress, one => one.Note?.Contains("nothing came for") == true);
    }

    [Theory]
    [InlineData(401, null, "private, gated or does not exist")]
    [InlineData(403, "GatedRepo", "accept its conditions")]
    [InlineData(404, "RepoNotFound", "has no model 'org/tiny'")]
    [InlineData(404, "RevisionNotFound", "no revision 'main'")]
    [InlineData(400, null, "answers 400")]
    public void Refusals_say_what_to_do(int status, string? code, string expected)
    {
        _hub.Fault = (_, context) =>
        {
            context.Response.StatusCode = status;
            context.Response.Headers["X-Error-Code"] = code;
            return true;
        };
        Assert.Contains(expected, Fault());
        Assert.Single(_hub.Requests);
    }

    [Theory]
    [InlineData(429)]
    [InlineData(503)]
    public void A_busy_server_is_asked_again_when_it_says(int status)
    {
        var calls = 0;
        _hub.Fault = (_, context) =>
        {
            if (Interlocked.Increment(ref calls) % 3 != 0) return false;
            context.Response.StatusCode = status;
            context.Response.Headers["Retry-After"] = "7";
            return true;
        };
        _options = _options with { Connections = 1 };
        AssertWhole(Download());
        Assert.Contains(_progress, one => one.Note?.Contains("trying again in 7 s") == true);
    }

    [Fact]
    public void A_server_that_stays_busy_is_given_up_after_so_many_tries()
    {
        _hub.Fault = (_, context) => { context.Response.StatusCode = 500; return true; };
        Assert.Contains("6 times in a row", Fault());
        Assert.Equal(6, _hub.Requests.Count);
    }

    [Theory]
    [InlineData("../../evil.json")]
    [InlineData("/etc/evil.json")]
    [InlineData("a//b.json")]
    [InlineData("..\\evil.json")]
    [InlineData("c:evil.json")]
    public void A_file_that_would_lie_outside_its_folder_is_refused(string name)
    {
        _hub.Files[name] = [1];
        Assert.Contains("outside its folder", Fault());
        Assert.False(Directory.Exists(_temp["hub"]));
    }

    [Fact]
    public void Patterns_choose_the_files()
    {
        _hub.Files["original/params.json"] = [1];
        Assert.Equal(["pytorch_model.bin"], Directory.GetFiles(Download(null, "*.bin")).Select(Path.GetFileName));
        Assert.Contains("none of its 4 files matches", Fault("*.gguf"));
    }

    [Fact]
    public void Nothing_is_asked_when_offline()
    {
        _options = _options with { IsOffline = true };
        Assert.Contains("HF_HUB_OFFLINE", Fault());
        Assert.Empty(_hub.Requests);
    }

    [Fact]
    public void A_branch_with_a_slash_is_a_revision()
    {
        Download(HubModelId.TryParse("org/tiny@refs/pr/1"));
        Assert.Equal(FakeHub.Commit, File.ReadAllText(_temp["hub", "models--org--tiny", "refs", "refs", "pr", "1"]));
        Assert.NotNull(new ModelSource(_options).Resolve("org/tiny@refs/pr/1"));
    }

    [Fact]
    public void A_dead_endpoint_is_named()
    {
        _hub.Dispose();
        Assert.Contains("cannot fetch the list of files of 'org/tiny'", Fault());
    }
}
