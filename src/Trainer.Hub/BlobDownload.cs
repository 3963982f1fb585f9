using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Trainer.Hub;

/// <summary>
/// Fetches one blob into the cache as ranges that may come in parallel; a killed download goes on where it was (<see cref="BlobRanges"/>). Nothing gets the
/// blob's name before its checksum was found right.
/// </summary>
internal sealed class BlobDownload(HubClient client, HubOptions options, TimeProvider clock, Patience patience, HubModelId model, string commit, HubFile file,
    string blob, Action<long> onBytes, Action<string> note)
{
    private readonly BlobRanges _ranges = new(blob, file.Bytes, options.RangeBytes);
    private long _received;

    internal async Task RunAsync(SemaphoreSlim connections, CancellationToken cancel)
    {
        if (_ranges.IsWhole)
        {
            // A kill after the blob got its name left the list of ranges.
            _ranges.Clear();
            onBytes(file.Bytes);
            return;
        }
        for (var round = 0; ; round++)
        {
            var counted = Interlocked.Exchange(ref _received, 0);
            onBytes(-counted);
            await FetchAsync(connections, cancel).ConfigureAwait(false);
            var why = await MismatchAsync(cancel).ConfigureAwait(false);
            if (why is null)
            {
                _ranges.Finish();
                return;
            }
            _ranges.Clear();
            if (round > 0)
                throw new NotAvailableException($"cannot fetch '{file.Path}' of '{model}': {why}, twice; the server or something on the way changes the file");
            note($"'{file.Path}': {why}; fetching it again from its beginning");
        }
    }

    private async Task FetchAsync(SemaphoreSlim connections, CancellationToken cancel)
    {
        var open = _ranges.Begin();
        using var handle = File.OpenHandle(_ranges.Part, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        RandomAccess.SetLength(handle, file.Bytes);
        Count(file.Bytes - open.Sum(static range => range.To - range.From));
        await Parallel.ForEachAsync(open, new ParallelOptions { MaxDegreeOfParallelism = options.Connections, CancellationToken = cancel },
            async (range, token) =>
        {
            await connections.WaitAsync(token).ConfigureAwait(false);
            try
            {
                await RangeAsync(handle, range.From, range.To, token).ConfigureAwait(false);
            }
            finally
            {
                connections.Release();
            }
        }).ConfigureAwait(false);
        RandomAccess.FlushToDisk(handle);
    }

    private Task<int> RangeAsync(SafeFileHandle handle, long from, long to, CancellationToken cancel)
    {
        var at = from;
        return patience.RunAsync($"'{file.Path}' of '{model}'", () => Volatile.Read(ref at), async token =>
        {
            using var stall = new CancellationTokenSource(options.StallLimit, clock);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(stall.Token, token);
            using var response = await client.OpenAsync(model, commit, file, at, to, either.Token).ConfigureAwait(false);
            var skip = Check(response, at, to);
            using var body = await response.Content.ReadAsStreamAsync(either.Token).ConfigureAwait(false);
            var buffer = new byte[1 << 16];
            while (at < to)
            {
                stall.CancelAfter(options.StallLimit);
                var got = await body.ReadAsync(buffer, either.Token).ConfigureAwait(false);
                if (got == 0) throw new RetryException($"the connection ended {to - at} bytes early");
                int skipped = (int)Math.Min(skip, got), used = (int)Math.Min(got - skipped, to - at);
                skip -= skipped;
                RandomAccess.Write(handle, buffer.AsSpan(skipped, used), at);
                at += used;
                Count(used);
            }
            _ranges.Add(from);
            return 0;
        }, cancel);
    }

    // Gives the bytes to skip: a server that knows no ranges sends the whole file, from which the wanted part is cut.
    private long Check(HttpResponseMessage response, long from, long to)
    {
        if (response.StatusCode == HttpStatusCode.PartialContent)
        {
            var range = response.Content.Headers.ContentRange;
            if (range is null || range.From != from || range.To != to - 1 || (range.Length ?? file.Bytes) != file.Bytes)
                throw Lie($"asked for bytes {from}-{to - 1} of {file.Bytes} it sends '{range}'");
            return 0;
        }
        return response.Content.Headers.ContentLength is long length && length != file.Bytes
            ? throw Lie($"it announced {file.Bytes} bytes and sends {length}") : from;
    }

    private NotAvailableException Lie(string what) =>
        new($"cannot fetch '{file.Path}' of '{model}': {options.Endpoint.Host} contradicts itself about the file's size: {what}; try again later");

    private void Count(long bytes)
    {
        Interlocked.Add(ref _received, bytes);
        onBytes(bytes);
    }

    private async Task<string?> MismatchAsync(CancellationToken cancel)
    {
        using var stream = new FileStream(_ranges.Part, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 20, FileOptions.SequentialScan);
        if (stream.Length != file.Bytes) return $"it has {stream.Length} bytes, the hub says {file.Bytes}";
        var found = file.Etag.Length switch
        {
            64 => Convert.ToHexStringLower(await SHA256.HashDataAsync(stream, cancel).ConfigureAwait(false)),
            40 => await GitHashAsync(stream, cancel).ConfigureAwait(false),
            _ => file.Etag, // No checksum we know: the length has to do.
        };
        return found == file.Etag ? null : $"its checksum is {found}, the hub says {file.Etag}";
    }

#pragma warning disable CA5350 // SHA-1 is what git names its blobs by; it is compared here, not trusted against an attacker.
    private static async Task<string> GitHashAsync(FileStream stream, CancellationToken cancel)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA1);
        hash.AppendData(Encoding.ASCII.GetBytes($"blob {stream.Length}\0"));
        var buffer = new byte[1 << 16];
        for (int got; (got = await stream.ReadAsync(buffer, cancel).ConfigureAwait(false)) > 0;)
            hash.AppendData(buffer.AsSpan(0, got));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
#pragma warning restore CA5350
}
