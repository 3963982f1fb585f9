using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace Trainer.Hub;

/// <summary>
/// Speaks to the hub: follows redirects itself, because the token must go to the endpoint and to nobody else, and turns answers into sentences.
/// </summary>
internal sealed class HubClient : IDisposable
{
    /// <summary>What this program calls itself to servers.</summary>
    internal const string UserAgent = "trainer/0.1";

    private const int MaxRedirects = 10;

    private readonly HubOptions _options;
    private readonly HttpClient _http;
    private readonly string _base;

    internal HubClient(HubOptions options, HttpMessageHandler? handler)
    {
        _options = options;
        _base = options.Endpoint.GetLeftPart(UriPartial.Path).TrimEnd('/');
        _http = new HttpClient(handler ?? new SocketsHttpHandler { AllowAutoRedirect = false, ConnectTimeout = options.StallLimit,
            MaxConnectionsPerServer = 2 * options.Connections }, disposeHandler: handler is null)
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
        _http.DefaultRequestHeaders.UserAgent.ParseAdd(UserAgent);
    }

    public void Dispose() => _http.Dispose();

    /// <summary>The commit of a revision and the paths of its files.</summary>
    internal async Task<(string Commit, IReadOnlyList<string> Paths)> ListAsync(HubModelId model, CancellationToken cancel)
    {
        var address =
            new Uri($"{_base}/api/{(model.Kind == HubKind.Dataset ? "datasets" : "models")}/{model.Id}/revision/{Uri.EscapeDataString(model.Revision)}");
        using var response = await SendAsync(HttpMethod.Get, address, null, followAll: true, cancel).ConfigureAwait(false);
        ThrowUnlessFine(response, model, null);
        try
        {
            var body = await response.Content.ReadAsByteArrayAsync(cancel).ConfigureAwait(false);
            using var document = JsonDocument.Parse(body);
            var commit = document.RootElement.GetProperty("sha").GetString() ?? "";
            string[] paths = [.. document.RootElement.GetProperty("siblings").EnumerateArray()
                .Select(static one => one.GetProperty("rfilename").GetString() ?? "")];
            if (commit.Length != 40 || !commit.All(char.IsAsciiHexDigitLower))
                throw new NotAvailableException($"{_base} names '{commit}' as the commit of '{model}', which is none; check HF_ENDPOINT");
            foreach (var path in paths) ThrowUnlessSafe(path, model);
            return (commit, paths);
        }
        catch (Exception fault) when (fault is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new NotAvailableException($"{_base} did not answer as a hub does when asked for '{model}'; check HF_ENDPOINT", fault);
        }
    }

    /// <summary>Length and checksum of a file, from the endpoint's own headers.</summary>
    internal async Task<HubFile> DescribeAsync(HubModelId model, string commit, string path, CancellationToken cancel)
    {
        using var response = await SendAsync(HttpMethod.Head, FileAddress(model, commit, path), null, followAll: false, cancel)
            .ConfigureAwait(false);
        if ((int)response.StatusCode is < 300 or >= 400) ThrowUnlessFine(response, model, path);
        var etag = (Header(response, "X-Linked-Etag") ?? Header(response, "ETag") ?? "").Replace("W/", "", StringComparison.Ordinal).Trim('"');
        var length = Header(response, "X-Linked-Size") ?? response.Content.Headers.ContentLength?.ToString();
        if (!long.TryParse(length, out var bytes) || bytes < 0 || etag.Length is 0 or > 128
            || !etag.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
        {
            throw new NotAvailableException($"{_base} gives no usable length and checksum for '{path}' of '{model}' (length '{length}', checksum "
                + $"'{etag}'); check HF_ENDPOINT");
        }
        return new HubFile(path, etag, bytes);
    }

    /// <summary>Opens the bytes of a file from <paramref name="from"/> up to, not including, <paramref name="to"/>; the answer may be the whole file
    /// instead.</summary>
    internal async Task<HttpResponseMessage> OpenAsync(HubModelId model, string commit, HubFile file, long from, long to, CancellationToken cancel)
    {
        var range = from == 0 && to == file.Bytes ? null : new RangeHeaderValue(from, to - 1);
        var response = await SendAsync(HttpMethod.Get, FileAddress(model, commit, file.Path), range, followAll: true, cancel)
            .ConfigureAwait(false);
        try
        {
            ThrowUnlessFine(response, model, file.Path);
            return response;
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    private Uri FileAddress(HubModelId model, string commit, string path) =>
        new($"{_base}/{(model.Kind == HubKind.Dataset ? "datasets/" : "")}{model.Id}/resolve/{commit}/"
        + $"{string.Join('/', path.Split('/').Select(Uri.EscapeDataString))}");

    // A HEAD stops where the hub describes a file and sends on to its storage, whose headers are not the hub's. A mirror that sends on without a
    // description is followed: the host behind it describes the file, and never sees the token.
    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, Uri address, RangeHeaderValue? range, bool followAll, CancellationToken cancel)
    {
        for (var redirects = 0; redirects <= MaxRedirects; redirects++)
        {
            using var request = new HttpRequestMessage(method, address);
            request.Headers.AcceptEncoding.ParseAdd("identity");
            request.Headers.Range = range;
            if (_options.Token is not null && IsEndpoint(address))
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _options.Token);
            var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel).ConfigureAwait(false);
            if ((int)response.StatusCode is not (301 or 302 or 303 or 307 or 308) || response.Headers.Location is not Uri location)
                return response;
            var next = new Uri(address, location);
            if (!followAll && !IsEndpoint(next) && Header(response, "X-Linked-Etag") is not null) return response;
            response.Dispose();
            if (next.Scheme is not ("https" or "http") || (address.Scheme == "https" && next.Scheme == "http"))
                throw new NotAvailableException($"{address.Host} redirects to an unprotected address on '{next.Host}'; refusing to follow");
            address = next;
        }
        throw new NotAvailableException($"{_base} redirects more than {MaxRedirects} times; check HF_ENDPOINT");
    }

    private bool IsEndpoint(Uri address) => Uri.Compare(address, _options.Endpoint, UriComponents.SchemeAndServer, UriFormat.Unescaped,
        StringComparison.OrdinalIgnoreCase) == 0;

    private static string? Header(HttpResponseMessage response, string name)
        => response.Headers.TryGetValues(name, out var values) ? values.FirstOrDefault() : null;

    private void ThrowUnlessFine(HttpResponseMessage response, HubModelId model, string? path)
    {
        if (response.IsSuccessStatusCode) return;
        var status = (int)response.StatusCode;
        var what = path is null ? $"{model.Noun} '{model}'" : $"'{path}' of {model.Noun} '{model}'";
        var code = Header(response, "X-Error-Code") ?? "";
        if (status is 408 or 429 or >= 500)
        {
            throw new RetryException($"{_options.Endpoint.Host} answers {status}{(status == 429 ? " (too many requests)" : "")} for {what}",
                RetryAfter(response));
        }
        var own = _options.Token is null ? "no token was sent: set HF_TOKEN if you have access" : "the token in HF_TOKEN has no access to it, or is wrong";
        throw new NotAvailableException(status switch
        {
            401 => $"{_options.Endpoint.Host} does not give {what} to this user: it is private, gated or does not exist ({own}); check the name",
            403 =>
                $"{_options.Endpoint.Host} refuses {what} ({own}); open {_base}/{(model.Kind == HubKind.Dataset ? "datasets/" : "")}{model.Id} in a browser "
                + "and accept its conditions",
            404 when code == "RevisionNotFound" => $"{model.Noun} '{model.Id}' has no revision '{model.Revision}' on {_options.Endpoint.Host}; leave out "
                + $"@{model.Revision} for the main one",
            404 => $"{_options.Endpoint.Host} has no {what}; check the name",
            416 => $"{_options.Endpoint.Host} says {what} is shorter than it said before; try again",
            _ => $"{_options.Endpoint.Host} answers {status} for {what}; try again later",
        });
    }

    private static TimeSpan? RetryAfter(HttpResponseMessage response) =>
        response.Headers.RetryAfter?.Delta is TimeSpan wait
        ? wait : response.Headers.RetryAfter?.Date is DateTimeOffset date && response.Headers.Date is DateTimeOffset now ? date - now : null;

    private static void ThrowUnlessSafe(string path, HubModelId model)
    {
        var isSafe = path.Length is > 0 and <= 1024
            && path.Split('/').All(static part => part.Length > 0 && part is not ("." or "..") && !part.Any(static c => c is '\\' or ':' || char.IsControl(c)));
        if (!isSafe)
            throw new NotAvailableException($"the hub lists a file '{path}' for '{model}' that would lie outside its folder; refusing the whole {model.Noun}");
    }
}
