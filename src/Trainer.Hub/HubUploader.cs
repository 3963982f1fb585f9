using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Trainer.Hub;

/// <summary>
/// Uploads files to a model repository of the hub in one commit, as the Python library does: make the repository, ask which files go to the large
/// file storage, send these there by their SHA-256, commit. What the storage has already is not sent again.
/// </summary>
public sealed class HubUploader
{
    // One request of the storage takes no more.
    private const long MostBytes = 5_000_000_000;

    private readonly HubOptions _options;
    private readonly Patience _patience;
    private readonly string _base;

    /// <summary>Makes an uploader.</summary>
    /// <param name="options">Endpoint and token.</param>
    /// <param name="note">Hears of what is tried again.</param>
    /// <param name="clock">For pauses; null is the system's.</param>
    public HubUploader(HubOptions options, Action<string> note, TimeProvider? clock = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        _patience = new Patience(options, clock ?? TimeProvider.System, note, "push");
        _base = options.Endpoint.GetLeftPart(UriPartial.Path).TrimEnd('/');
    }

    /// <summary>Uploads files as one commit and gives the address of the repository.</summary>
    /// <param name="model">The repository; its revision is the branch.</param>
    /// <param name="files">Path in the repository and path here of each.</param>
    /// <param name="isPrivate">Whether a repository that is made now is private.</param>
    /// <param name="message">The commit's title.</param>
    /// <param name="progress">Hears which file is sent, and how many bytes of all are done.</param>
    /// <param name="cancel">Ends it; nothing is committed then.</param>
    /// <exception cref="NotAvailableException">No token, no right, no network, or a file that is too large.</exception>
    public async Task<Uri> UploadAsync(HubModelId model, IReadOnlyList<(string Path, string File)> files, bool isPrivate, string message,
        Action<string, long, long> progress, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(model);
        if (_options.IsOffline) throw new NotAvailableException("HF_HUB_OFFLINE is set, and pushing needs the network; unset it");
        if (_options.Token is null) throw new NotAvailableException("no token: set HF_TOKEN to one that may write, from the settings of your account");
        using var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false,
            ConnectTimeout = _options.StallLimit }) { Timeout = Timeout.InfiniteTimeSpan };
        http.DefaultRequestHeaders.UserAgent.ParseAdd(HubClient.UserAgent);
        var entries = files.Select(each => Entry.Of(each.Path, each.File)).ToList();
        if (entries.Find(entry => entry.Bytes > MostBytes) is { } large)
            throw new NotAvailableException($"'{large.Path}' has {large.Bytes} bytes and the storage takes {MostBytes} in one piece; push it with git and "
                + "git-lfs");
        await CreateAsync(http, model, isPrivate, cancel).ConfigureAwait(false);
        await ChooseAsync(http, model, entries, cancel).ConfigureAwait(false);
        await StoreAsync(http, model, entries.FindAll(static entry => entry.IsLarge), progress, cancel).ConfigureAwait(false);
        await CommitAsync(http, model, entries, message, cancel).ConfigureAwait(false);
        return new Uri($"{_base}/{model.Id}");
    }

    private async Task CreateAsync(HttpClient http, HubModelId model, bool isPrivate, CancellationToken cancel)
    {
        var parts = model.Id.Split('/');
        var body = new Dictionary<string, object?> { ["name"] = parts[^1], ["organization"] = parts.Length > 1 ? parts[0] : null, ["private"] = isPrivate };
        // 409: it is there already.
        (await AskAsync(http, $"{_base}/api/repos/create", "application/json", JsonSerializer.SerializeToUtf8Bytes(body), model, cancel,
            HttpStatusCode.Conflict).ConfigureAwait(false))?.Dispose();
    }

    private async Task ChooseAsync(HttpClient http, HubModelId model, List<Entry> entries, CancellationToken cancel)
    {
        var body = new { files = entries.Select(static entry => new { path = entry.Path, sample = Convert.ToBase64String(entry.Sample()),
            size = entry.Bytes }) };
        using var answer = (await AskAsync(http, $"{_base}/api/models/{model.Id}/preupload/{Uri.EscapeDataString(model.Revision)}", "application/json",
            JsonSerializer.SerializeToUtf8Bytes(body), model, cancel).ConfigureAwait(false))!;
        foreach (var file in List(answer.RootElement, "files"))
        {
            var path = Text(file, "path");
            if (entries.Find(entry => entry.Path == path) is { } entry) entry.IsLarge = Text(file, "uploadMode") == "lfs";
        }
    }

    private async Task StoreAsync(HttpClient http, HubModelId model, List<Entry> entries, Action<string, long, long> progress, CancellationToken cancel)
    {
        if (entries.Count == 0) return;
        var body = new { operation = "upload", transfers = new[] { "basic" }, hash_algo = "sha256",
            objects = entries.Select(static entry => new { oid = entry.Sha256, size = entry.Bytes }), @ref = new { name = model.Revision } };
        using var answer = (await AskAsync(http, $"{_base}/{model.Id}.git/info/lfs/objects/batch", "application/vnd.git-lfs+json",
            JsonSerializer.SerializeToUtf8Bytes(body), model, cancel).ConfigureAwait(false))!;
        long done = 0, total = entries.Sum(static entry => entry.Bytes);
        foreach (var one in List(answer.RootElement, "objects"))
        {
            var oid = Text(one, "oid");
            if (entries.Find(entry => entry.Sha256 == oid) is not { } entry) continue;
            progress(entry.Path, done, total);
            if (one.TryGetProperty("error", out var error))
                throw new NotAvailableException($"the storage of {_options.Endpoint.Host} refuses "
                    + $"'{entry.Path}': {(error.TryGetProperty("message", out var why) ? why.ToString() : "no reason given")}");
            if (one.TryGetProperty("actions", out var actions) && actions.ValueKind == JsonValueKind.Object)
            {
                await _patience.RunAsync(entry.Path, static () => 0, async token =>
                {
                    await PutAsync(http, entry, actions.GetProperty("upload"), token).ConfigureAwait(false);
                    return true;
                }, cancel).ConfigureAwait(false);
                if (actions.TryGetProperty("verify", out var verify))
                    (await AskAsync(http, Text(verify, "href"), "application/vnd.git-lfs+json",
                        JsonSerializer.SerializeToUtf8Bytes(new { oid, size = entry.Bytes }), model, cancel).ConfigureAwait(false))?.Dispose();
            }
            done += entry.Bytes;
            progress(entry.Path, done, total);
        }
    }

    // To the storage, which is another host: the signed address is the right to write, the token stays home.
    private async Task PutAsync(HttpClient http, Entry entry, JsonElement action, CancellationToken cancel)
    {
        await using var stream = File.OpenRead(entry.File);
        using var request = new HttpRequestMessage(HttpMethod.Put, Text(action, "href")) { Content = new StreamContent(stream) };
        request.Content.Headers.ContentLength = entry.Bytes;
        if (action.TryGetProperty("header", out var headers) && headers.ValueKind == JsonValueKind.Object)
            foreach (var header in headers.EnumerateObject())
                if (!request.Headers.TryAddWithoutValidation(header.Name, header.Value.ToString()))
                    request.Content.Headers.TryAddWithoutValidation(header.Name, header.Value.ToString());
        using var response = await http.SendAsync(request, cancel).ConfigureAwait(false);
        if ((int)response.StatusCode is 408 or 429 or >= 500)
            throw new RetryException($"the storage answers {(int)response.StatusCode} for '{entry.Path}'", null);
        if (!response.IsSuccessStatusCode)
            throw new NotAvailableException($"the storage answers {(int)response.StatusCode} for '{entry.Path}'; try again later");
    }

    private async Task CommitAsync(HttpClient http, HubModelId model, List<Entry> entries, string message, CancellationToken cancel)
    {
        var lines = new StringBuilder();
        void Line(string key, object value) => lines.Append(JsonSerializer.Serialize(new { key, value })).Append('\n');
        Line("header", new { summary = message, description = "" });
        foreach (var entry in entries)
        {
            if (entry.IsLarge) Line("lfsFile", new { path = entry.Path, algo = "sha256", oid = entry.Sha256, size = entry.Bytes });
            else
                Line("file", new { content = Convert.ToBase64String(await File.ReadAllBytesAsync(entry.File, cancel).ConfigureAwait(false)), path = entry.Path,
                    encoding = "base64" });
        }
        using var answer = await AskAsync(http, $"{_base}/api/models/{model.Id}/commit/{Uri.EscapeDataString(model.Revision)}",
            "application/x-ndjson", Encoding.UTF8.GetBytes(lines.ToString()), model, cancel).ConfigureAwait(false);
    }

    private Task<JsonDocument?> AskAsync(HttpClient http, string address, string type, byte[] body, HubModelId model, CancellationToken cancel,
        HttpStatusCode? fine = null) => _patience.AskAsync(model.Id, async token =>
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, address) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue(type);
        request.Headers.Accept.ParseAdd(type == "application/x-ndjson" ? "application/json" : type);
        if (Uri.Compare(request.RequestUri, _options.Endpoint, UriComponents.SchemeAndServer, UriFormat.Unescaped, StringComparison.OrdinalIgnoreCase) == 0)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _options.Token);
        using var response = await http.SendAsync(request, token).ConfigureAwait(false);
        if (response.StatusCode == fine) return null;
        var answer = await response.Content.ReadAsByteArrayAsync(token).ConfigureAwait(false);
        ThrowUnlessFine(response, answer, model);
        try
        {
            return answer.Length == 0 ? null : JsonDocument.Parse(answer);
        }
        catch (JsonException fault)
        {
            throw new NotAvailableException($"{_base} does not answer as a hub does; check HF_ENDPOINT", fault);
        }
    }, cancel);

    private void ThrowUnlessFine(HttpResponseMessage response, byte[] answer, HubModelId model)
    {
        var status = (int)response.StatusCode;
        if (response.IsSuccessStatusCode) return;
        var host = _options.Endpoint.Host;
        if (status is 408 or 429 or >= 500) throw new RetryException($"{host} answers {status} for '{model.Id}'", response.Headers.RetryAfter?.Delta);
        throw new NotAvailableException(status switch
        {
            401 => $"{host} does not know the token; set HF_TOKEN to one that may write",
            403 => $"{host} does not let this token write to '{model.Id}'; take one with the right to write, or another name",
            404 => $"{host} has no repository '{model.Id}', or this token may not see it; check the name",
            >= 300 and < 400 => $"{host} sends '{model.Id}' on to another address; push to the new name",
            _ => $"{host} answers {status} for '{model.Id}'{Reason(answer)}",
        });
    }

    // What the hub says, in its own words, on one line.
    private static string Reason(byte[] answer)
    {
        try
        {
            using var document = JsonDocument.Parse(answer);
            var why = document.RootElement.TryGetProperty("error", out var error) ? error.ToString() : null;
            return why is null ? "" : ": " + string.Concat(why.Take(300).Select(static c => char.IsControl(c) ? ' ' : c));
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException)
        {
            return "";
        }
    }

    private JsonElement.ArrayEnumerator List(JsonElement element, string name)
        => element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var list) && list.ValueKind == JsonValueKind.Array
        ? list.EnumerateArray() : throw new NotAvailableException($"{_base} does not answer as a hub does; check HF_ENDPOINT");

    private string Text(JsonElement element, string name) => element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
        ? value.GetString()! : throw new NotAvailableException($"{_base} does not answer as a hub does; check HF_ENDPOINT");

    private sealed record Entry(string Path, string File, long Bytes, string Sha256)
    {
        public bool IsLarge { get; set; }

        public static Entry Of(string path, string file)
        {
            using var stream = System.IO.File.OpenRead(file);
            return new Entry(path, file, stream.Length, Convert.ToHexStringLower(SHA256.HashData(stream)));
        }

        public byte[] Sample()
        {
            using var stream = System.IO.File.OpenRead(File);
            var sample = new byte[(int)Math.Min(512, Bytes)];
            stream.ReadExactly(sample);
            return sample;
        }
    }
}
