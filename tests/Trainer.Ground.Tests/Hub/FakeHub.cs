using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Trainer.Ground.Tests.Hub;

/// <summary>A hub on this machine: an endpoint that redirects large files to a storage on another port, with faults on demand.</summary>
internal sealed class FakeHub : IDisposable
{
    internal const string Commit = "0123456789abcdef0123456789abcdef01234567";

    private readonly HttpListener _endpoint = new(), _storage = new();

    internal FakeHub()
    {
        Endpoint = Start(_endpoint, OnEndpointAsync);
        Storage = Start(_storage, OnStorageAsync);
    }

    internal string Endpoint { get; }

    internal string Storage { get; }

    internal Dictionary<string, byte[]> Files { get; } = [];

    /// <summary>Files at or above this length are large: named by SHA-256 and kept in the storage.</summary>
    internal int LargeFrom { get; set; } = 1000;

    internal ConcurrentQueue<(string Where, string Method, string Path, string? Range, string? Token)> Requests { get; } = new();

    /// <summary>Whether it holds a data set: other addresses.</summary>
    internal bool IsDataset { get; set; }

    /// <summary>Answers a request itself and gives true, or leaves it.</summary>
    internal Func<string, HttpListenerContext, bool>? Fault { get; set; }

    /// <summary>What is served for a file, where it differs from what was announced.</summary>
    internal Func<string, byte[], byte[]>? Served { get; set; }

    internal bool KnowsRanges { get; set; } = true;

    internal long? AnnouncedBytes { get; set; }

    /// <summary>What an uploader asked for and called its commit.</summary>
    internal string? CreatedName { get; private set; }

    internal string? CreatedOwner { get; private set; }

    internal bool CreatedPrivate { get; private set; }

    internal string? CommitTitle { get; private set; }

    private readonly ConcurrentDictionary<string, byte[]> _stored = new();

#pragma warning disable CA5350 // git names its blobs by SHA-1
    internal static string Etag(byte[] bytes, bool large) => large ? Convert.ToHexStringLower(SHA256.HashData(bytes))
        : Convert.ToHexStringLower(SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {bytes.Length}\0"), .. bytes]));
#pragma warning restore CA5350

    internal int Count(string where, string method) => Requests.Count(one => one.Where == where && one.Method == method);

    public void Dispose()
    {
        _endpoint.Close();
        _storage.Close();
    }

    private static string Start(HttpListener listener, Func<HttpListenerContext, Task> answer)
    {
        for (var tries = 0; !listener.IsListening; tries++)
        {
            listener.Prefixes.Clear();
            using (var probe = new TcpListener(IPAddress.Loopback, 0))
            {
                probe.Start();
                listener.Prefixes.Add($"http://127.0.0.1:{((IPEndPoint)probe.LocalEndpoint).Port}/");
            }
            try
            {
                listener.Start();
            }
            catch (HttpListenerException) when (tries < 8)
            {
                // Another process took the port between the two.
            }
        }
        _ = Task.Run(async () =>
        {
            while (listener.IsListening)
            {
                HttpListenerContext context;
                try
                {
                    context = await listener.GetContextAsync();
                }
                catch (Exception fault) when (fault is HttpListenerException or ObjectDisposedException)
                {
                    return;
                }
                _ = Task.Run(async () =>
                {
                    try
                    {
                        await answer(context);
                        context.Response.Close();
                    }
                    catch (Exception fault) when (fault is HttpListenerException or ObjectDisposedException or InvalidOperationException or IOException)
                    {
                        // The client went away, which is part of the game.
                    }
                });
            }
        });
        return listener.Prefixes.First().TrimEnd('/');
    }

    private bool Note(string where, HttpListenerContext context)
    {
        var request = context.Request;
        Requests.Enqueue((where, request.HttpMethod, request.Url!.AbsolutePath, request.Headers["Range"], request.Headers["Authorization"]));
        return Fault?.Invoke(where, context) == true;
    }

    private async Task OnEndpointAsync(HttpListenerContext context)
    {
        var path = Uri.UnescapeDataString(context.Request.Url!.AbsolutePath);
        if (Note("endpoint", context)) return;
        if (context.Request.HttpMethod == "POST")
        {
            await OnUploadAsync(context, path);
            return;
        }
        if (path.StartsWith(IsDataset ? "/api/datasets/" : "/api/models/", StringComparison.Ordinal))
        {
            await SendAsync(context, JsonSerializer.SerializeToUtf8Bytes(new { sha = Commit, siblings = Files.Keys.Select(name => new { rfilename = name }) }),
                null);
            return;
        }
        if (IsDataset != path.StartsWith("/datasets/", StringComparison.Ordinal) || !path.Contains(Commit, StringComparison.Ordinal))
        {
            context.Response.StatusCode = 404;
            return;
        }
        var name = path[(path.IndexOf(Commit, StringComparison.Ordinal) + Commit.Length + 1)..];
        if (!Files.TryGetValue(name, out var bytes))
        {
            context.Response.StatusCode = 404;
            return;
        }
        var large = bytes.Length >= LargeFrom;
        context.Response.Headers["X-Repo-Commit"] = Commit;
        if (large)
        {
            context.Response.Headers["X-Linked-Etag"] = $"\"{Etag(bytes, true)}\"";
            context.Response.Headers["X-Linked-Size"] = $"{AnnouncedBytes ?? bytes.Length}";
            context.Response.StatusCode = 302;
            context.Response.Headers["Location"] = $"{Storage}/blob/{name}?signature=secret";
            return;
        }
        context.Response.Headers["ETag"] = $"\"{Etag(bytes, false)}\"";
        await SendAsync(context, bytes, name);
    }

    // As huggingface_hub speaks to the hub: create, preupload, git-lfs batch and verify, commit in lines of JSON.
    private async Task OnUploadAsync(HttpListenerContext context, string path)
    {
        var body = await BodyAsync(context);
        if (path == "/api/repos/create")
        {
            var asked = JsonDocument.Parse(body).RootElement;
            var isNew = CreatedName is null;
            (CreatedName, CreatedOwner, CreatedPrivate) = (asked.GetProperty("name").GetString(), asked.GetProperty("organization").GetString(),
                asked.GetProperty("private").GetBoolean());
            context.Response.StatusCode = isNew ? 200 : 409;
            await SendAsync(context, "{}"u8.ToArray(), null);
        }
        else if (path.Contains("/preupload/", StringComparison.Ordinal))
        {
            var modes = JsonDocument.Parse(body).RootElement.GetProperty("files").EnumerateArray()
                .Select(file => new { path = file.GetProperty("path").GetString(),
                    uploadMode = file.GetProperty("size").GetInt64() >= LargeFrom ? "lfs" : "regular" });
            await SendAsync(context, JsonSerializer.SerializeToUtf8Bytes(new { files = modes }), null);
        }
        else if (path.EndsWith("/info/lfs/objects/batch", StringComparison.Ordinal))
        {
            var objects = JsonDocument.Parse(body).RootElement.GetProperty("objects").EnumerateArray().Select(one =>
            {
                var oid = one.GetProperty("oid").GetString()!;
                object? actions = _stored.ContainsKey(oid)
                    ? null : new { upload = new { href = $"{Storage}/put/{oid}?signature=secret", header = new { } },
                        verify = new { href = $"{Endpoint}/verify" } };
                return new { oid, size = one.GetProperty("size").GetInt64(), actions };
            });
            await SendAsync(context, JsonSerializer.SerializeToUtf8Bytes(new { transfer = "basic", objects }), null);
        }
        else if (path == "/verify")
            context.Response.StatusCode = _stored.ContainsKey(JsonDocument.Parse(body).RootElement.GetProperty("oid").GetString()!) ? 200 : 400;
        else if (path.Contains("/commit/", StringComparison.Ordinal))
        {
            foreach (var line in Encoding.UTF8.GetString(body).Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                JsonElement entry = JsonDocument.Parse(line).RootElement, value = entry.GetProperty("value");
                var key = entry.GetProperty("key").GetString()!;
                if (key == "header") CommitTitle = value.GetProperty("summary").GetString();
                else if (key == "file") Files[value.GetProperty("path").GetString()!] = value.GetProperty("content").GetBytesFromBase64();
                else Files[value.GetProperty("path").GetString()!] = _stored[value.GetProperty("oid").GetString()!];
            }
            await SendAsync(context, JsonSerializer.SerializeToUtf8Bytes(new { commitOid = Commit }), null);
        }
        else context.Response.StatusCode = 404;
    }

    private static async Task<byte[]> BodyAsync(HttpListenerContext context)
    {
        using var body = new MemoryStream();
        await context.Request.InputStream.CopyToAsync(body);
        return body.ToArray();
    }

    private async Task OnStorageAsync(HttpListenerContext context)
    {
        if (Note("storage", context)) return;
        if (context.Request.HttpMethod == "PUT")
        {
            var bytes = await BodyAsync(context);
            var oid = Etag(bytes, true);
            if (context.Request.Url!.AbsolutePath == "/put/" + oid) _stored[oid] = bytes;
            else context.Response.StatusCode = 400;
            return;
        }
        var name = Uri.UnescapeDataString(context.Request.Url!.AbsolutePath)["/blob/".Length..];
        await SendAsync(context, Files[name], name);
    }

    private async Task SendAsync(HttpListenerContext context, byte[] bytes, string? name)
    {
        var served = name is null || context.Request.HttpMethod == "HEAD" ? bytes : Served?.Invoke(name, bytes) ?? bytes;
        int from = 0, to = served.Length;
        if (KnowsRanges && context.Request.Headers["Range"] is string range)
        {
            var ends = range["bytes=".Length..].Split('-');
            (from, to) = (int.Parse(ends[0]), int.Parse(ends[1]) + 1);
            context.Response.StatusCode = 206;
            context.Response.Headers["Content-Range"] = $"bytes {from}-{to - 1}/{served.Length}";
        }
        context.Response.ContentLength64 = to - from;
        if (context.Request.HttpMethod != "HEAD")
            await context.Response.OutputStream.WriteAsync(served.AsMemory(from, to - from));
    }
}
