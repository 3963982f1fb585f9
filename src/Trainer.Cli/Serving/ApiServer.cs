using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Trainer.Cli.Generating;
using Trainer.Cli.Rendering;
using Trainer.Training.Options;

namespace Trainer.Cli.Serving;

/// <summary>OpenAI's interface over one model: /v1/models, /v1/chat/completions, /v1/completions.</summary>
internal sealed class ApiServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ServeOptions _options;
    private readonly AnswerQueue _queue;
    private readonly CancellationTokenSource _closing = new();
    private readonly long _created = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    public ApiServer(ServeOptions options, AnswerQueue queue)
    {
        (_options, _queue) = (options, queue);
        // The empty builder reads no environment and no file of the current folder.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = options.MaxRequestBytes;
            kestrel.Limits.MaxConcurrentConnections = 512;
            kestrel.Listen(options.Address, options.Port);
        });
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton<IHostLifetime, SignalsAreOurs>();
        _app = builder.Build();
        _app.Use(Guarded);
        _app.MapGet("/health", context => Write(context, 200, new { status = "ok" }));
        _app.MapGet("/v1/models", context => Write(context, 200, new { @object = "list", data = Models() }));
        _app.MapPost("/v1/chat/completions", context => Complete(context, isChat: true));
        _app.MapPost("/v1/completions", context => Complete(context, isChat: false));
        string[] asked = ["/v1/chat/completions", "/v1/completions"];
        _app.MapFallback(context => throw (asked.Contains(context.Request.Path.Value)
            ? new ApiException(405, $"{context.Request.Path} takes POST and not {context.Request.Method}")
            : new ApiException(404, $"there is no {context.Request.Path} here; /v1/models, /v1/chat/completions and /v1/completions are", code: "not_found")));
    }

    /// <summary>Begins to listen and gives the address, <c>http://HOST:PORT/v1</c>.</summary>
    /// <exception cref="IOException">The port is taken.</exception>
    public string Start()
    {
        _app.StartAsync().GetAwaiter().GetResult();
        return _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First() + "/v1";
    }

    /// <summary>Ends answers that are still being given.</summary>
    public void Cancel() => _closing.Cancel();

    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await _app.StopAsync(limit.Token);
        await _app.DisposeAsync();
        _closing.Dispose();
    }

    private object[] Models()
    {
        string[] names = _options.HasAdapter ? ["adapter", "base"] : ["base"];
        return [.. names.Select(id => new { id, @object = "model", created = _created, owned_by = "trainer" })];
    }

    /// <summary>Who may ask, and what is said where something goes wrong.</summary>
    private async Task Guarded(HttpContext context, RequestDelegate next)
    {
        try
        {
            RequireLocalName(context);
            RequireKey(context);
            await next(context);
        }
        catch (ApiException fault)
        {
            await Write(context, fault.Status, fault.Body);
        }
        catch (BadHttpRequestException fault)
        {
            await Write(context, fault.StatusCode, new ApiException(fault.StatusCode,
                fault.StatusCode == 413 ? $"the body is above {Quantities.Bytes(_options.MaxRequestBytes)}" : fault.Message).Body);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody is there to be told.
        }
        catch (OperationCanceledException)
        {
            await Write(context, 503, new ApiException(503,
                _closing.IsCancellationRequested ? "the server is closing" : $"no answer within {Quantities.Duration(_options.Timeout.TotalSeconds)}",
                code: "timeout").Body);
        }
        catch (Exception fault) when (fault is CommandLine.CommandFailedException or Templates.TemplateException or Data.DataException)
        {
            await Write(context, 400, new ApiException(400, fault.Message).Body);
        }
        catch (IOException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client went away while its body was being read.
        }
        catch (Exception fault) when (!context.Response.HasStarted)
        {
            // Our own fault: clients read a body of the same form, and the next request is answered.
            await Write(context, 500, new ApiException(500, $"this is a fault of trainer itself: {fault.GetType().Name}: {fault.Message}").Body);
        }
    }

    // A page of some other host must not reach a server on the loopback by a name that leads here.
    private void RequireLocalName(HttpContext context)
    {
        if (!IPAddress.IsLoopback(_options.Address)) return;
        var host = context.Request.Host.Host;
        if (host is "localhost" || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address))) return;
        throw new ApiException(403, $"this server answers to localhost and 127.0.0.1, not to '{host}'", code: "forbidden");
    }

    private void RequireKey(HttpContext context)
    {
        if (_options.Key is null || context.Request.Path == "/health") return;
        var given = context.Request.Headers.Authorization.ToString();
        var expected = "Bearer " + _options.Key;
        if (CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(given)), SHA256.HashData(Encoding.UTF8.GetBytes(expected)))) return;
        throw new ApiException(401, "the API key is missing or wrong; send it as 'Authorization: Bearer KEY'", code: "invalid_api_key");
    }

    private async Task Complete(HttpContext context, bool isChat)
    {
        // A page of another site cannot send this type without asking first, and nobody answers that question here.
        if (!context.Request.HasJsonContentType()) throw new ApiException(415, "the body must be sent as application/json");
        if (isChat && !_options.HasTemplate)
            throw new ApiException(400, "the model has no chat template; use /v1/completions, or start the server with --chat-template FILE");
        JsonDocument body;
        try
        {
            body = await JsonDocument.ParseAsync(context.Request.Body, new JsonDocumentOptions { MaxDepth = 64 }, context.RequestAborted);
        }
        catch (JsonException fault)
        {
            throw new ApiException(400, $"the body is not JSON: {fault.Message.ReplaceLineEndings(" ")}");
        }
        using (body)
        {
            var request = ApiRequest.Read(body.RootElement, isChat, _options.Sampling, _options.HasAdapter);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, _closing.Token);
            limit.CancelAfter(_options.Timeout);
            if (request.IsStreamed) await Stream(context, request, limit.Token);
            else
            {
                var said = await _queue.Ask(request, static _ => { }, limit.Token);
                await Write(context, 200, Whole(request, said));
            }
        }
    }

    /// <summary>Server-sent events. Headers go out with the first word, so that a fault before it still has its status.</summary>
    private async Task Stream(HttpContext context, ApiRequest request, CancellationToken stop)
    {
        var words = Channel.CreateUnbounded<string>(new UnboundedChannelOptions { SingleReader = true });
        var id = NewId(request);
        var asked = _queue.Ask(request, word => words.Writer.TryWrite(word), stop);
        _ = asked.ContinueWith(_ => words.Writer.Complete(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        var began = false;
        async Task Send(object chunk)
        {
            if (!began)
            {
                began = true;
                (context.Response.ContentType, context.Response.Headers.CacheControl) = ("text/event-stream", "no-cache");
                if (request.Messages is not null) await Event(context, Chunk(request, id, new { role = "assistant", content = "" }, "", null));
            }
            await Event(context, chunk);
        }
        await foreach (var word in words.Reader.ReadAllAsync(context.RequestAborted)) await Send(Chunk(request, id, new { content = word }, word, null));
        Continuation said;
        try
        {
            said = await asked;
        }
        catch (OperationCanceledException) when (began && !context.RequestAborted.IsCancellationRequested)
        {
            await Event(context, new ApiException(503, "the answer was broken off: its time is over, or the server is closing", code: "timeout").Body);
            return;
        }
        await Send(Chunk(request, id, new { }, "", Reason(said)));
        if (request.WithUsage) await Event(context, Usage(request, id, said));
        await context.Response.WriteAsync("data: [DONE]\n\n", context.RequestAborted);
    }

    private static object Whole(ApiRequest request, Continuation said) => request.Messages is null
        ? new { id = NewId(request), @object = "text_completion", created = Now(), model = request.Model,
            choices = new[] { new { index = 0, text = said.Text, logprobs = (object?)null, finish_reason = Reason(said) } }, usage = Counts(said) }
        : new { id = NewId(request), @object = "chat.completion", created = Now(), model = request.Model,
            choices = new[] { new { index = 0, message = new { role = "assistant", content = said.Text }, logprobs = (object?)null,
            finish_reason = Reason(said) } }, usage = Counts(said) };

    private object Chunk(ApiRequest request, string id, object delta, string text, string? reason) => request.Messages is null
        ? new { id, @object = "text_completion", created = _created, model = request.Model,
            choices = new[] { new { index = 0, text, finish_reason = reason } } }
        : new { id, @object = "chat.completion.chunk", created = _created, model = request.Model,
            choices = new[] { new { index = 0, delta, finish_reason = reason } } };

    private object Usage(ApiRequest request, string id, Continuation said) =>
        new { id, @object = request.Messages is null ? "text_completion" : "chat.completion.chunk", created = _created, model = request.Model,
        choices = Array.Empty<object>(), usage = Counts(said) };

    private static object Counts(Continuation said)
        => new { prompt_tokens = said.PromptTokens, completion_tokens = said.Tokens, total_tokens = said.PromptTokens + said.Tokens };

    private static string Reason(Continuation said) => said.FinishReason == "length" ? "length" : "stop";

    private static string NewId(ApiRequest request) => (request.Messages is null ? "cmpl-" : "chatcmpl-") + Guid.NewGuid().ToString("N");

    private static long Now() => DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    private static async Task Event(HttpContext context, object chunk)
    {
        await context.Response.WriteAsync("data: " + JsonSerializer.Serialize(chunk, Json.Compact) + "\n\n", context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
    }

    private static async Task Write(HttpContext context, int status, object body)
    {
        if (context.Response.HasStarted || context.RequestAborted.IsCancellationRequested) return;
        (context.Response.StatusCode, context.Response.ContentType) = (status, "application/json");
        await context.Response.Body.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(body, Json.Compact), context.RequestAborted);
    }

    /// <summary>Signals end the command, not the host behind its back.</summary>
    private sealed class SignalsAreOurs : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
