using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace Trainer.Hub.Mlflow;

/// <summary>Speaks the part of MLflow's REST API (2.0) that a run needs: find or make the experiment, make the run, log, end.</summary>
/// <remarks>It follows no redirect, so that the token goes to the named server and to nobody else.</remarks>
public sealed class MlflowClient : IDisposable
{
    // What the server takes in one request.
    private const int MostMetrics = 1000, MostParameters = 100, MostLetters = 6000;

    private readonly HttpClient _http;
    private readonly string _base;

    /// <param name="options">Where and who.</param>
    /// <param name="patience">How long one request may take.</param>
    public MlflowClient(MlflowOptions options, TimeSpan patience)
    {
        ArgumentNullException.ThrowIfNull(options);
        _base = options.Address.ToString().TrimEnd('/');
        _http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, ConnectTimeout = patience }) { Timeout = patience };
        _http.DefaultRequestHeaders.UserAgent.ParseAdd(HubClient.UserAgent);
        if (options.Authorization is { } authorization) _http.DefaultRequestHeaders.Authorization = AuthenticationHeaderValue.Parse(authorization);
    }

    /// <summary>Makes a run in an experiment, which is made where it is not there, and gives the run's id.</summary>
    /// <param name="experiment">The experiment's name.</param>
    /// <param name="name">The run's name.</param>
    /// <param name="startedMilliseconds">Unix time.</param>
    /// <exception cref="NotAvailableException">The server does not answer, or refuses.</exception>
    public async Task<string> BeginAsync(string experiment, string name, long startedMilliseconds)
    {
        var id = await ExperimentAsync(experiment).ConfigureAwait(false);
        var answer = await PostAsync("runs/create",
            new { experiment_id = id, run_name = name, start_time = startedMilliseconds,
            tags = new[] { new { key = "mlflow.runName", value = name }, new { key = "mlflow.source.name", value = "trainer" } } }).ConfigureAwait(false);
        return Text(answer, "run", "info", "run_id");
    }

    /// <summary>Logs the options of a run; a value that is too long for the server is cut.</summary>
    /// <param name="run">The run's id.</param>
    /// <param name="parameters">By name.</param>
    public async Task ParametersAsync(string run, IReadOnlyList<KeyValuePair<string, string>> parameters)
    {
        foreach (var part in parameters.Chunk(MostParameters))
            await PostAsync("runs/log-batch", new { run_id = run,
                @params = part.Select(pair => new { key = pair.Key, value = pair.Value.Length > MostLetters ? pair.Value[..MostLetters] : pair.Value }) })
                .ConfigureAwait(false);
    }

    /// <summary>Logs numbers.</summary>
    /// <param name="run">The run's id.</param>
    /// <param name="metrics">Name, value, Unix time in milliseconds and step of each.</param>
    public async Task MetricsAsync(string run, IReadOnlyList<(string Key, double Value, long Milliseconds, long Step)> metrics)
    {
        foreach (var part in metrics.Chunk(MostMetrics))
            await PostAsync("runs/log-batch", new { run_id = run,
                metrics = part.Select(one => new { key = one.Key, value = one.Value, timestamp = one.Milliseconds, step = one.Step }) }).ConfigureAwait(false);
    }

    /// <summary>Says how a run stands.</summary>
    /// <param name="run">The run's id.</param>
    /// <param name="status">RUNNING, FINISHED, FAILED or KILLED.</param>
    /// <param name="endedMilliseconds">Unix time; null while it goes on.</param>
    public Task StatusAsync(string run, string status, long? endedMilliseconds)
        => PostAsync("runs/update", new { run_id = run, status, end_time = endedMilliseconds });

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    private async Task<string> ExperimentAsync(string name)
    {
        using var found = await SendAsync(HttpMethod.Get, "experiments/get-by-name?experiment_name=" + Uri.EscapeDataString(name), null)
            .ConfigureAwait(false);
        if (found.StatusCode == HttpStatusCode.NotFound)
            return Text(await PostAsync("experiments/create", new { name }).ConfigureAwait(false), "experiment_id");
        return Text(await BodyAsync(found).ConfigureAwait(false), "experiment", "experiment_id");
    }

    private async Task<JsonElement> PostAsync(string call, object body)
    {
        using var response = await SendAsync(HttpMethod.Post, call, JsonSerializer.SerializeToUtf8Bytes(body)).ConfigureAwait(false);
        return await BodyAsync(response).ConfigureAwait(false);
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string call, byte[]? body)
    {
        using var request = new HttpRequestMessage(method, $"{_base}/api/2.0/mlflow/{call}");
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        }
        try
        {
            return await _http.SendAsync(request).ConfigureAwait(false);
        }
        catch (Exception fault) when (fault is HttpRequestException or OperationCanceledException)
        {
            throw new NotAvailableException($"the MLflow server {_base} does not "
                + $"answer: {(fault is OperationCanceledException ? "no word in time" : fault.Message)}", fault);
        }
    }

    private async Task<JsonElement> BodyAsync(HttpResponseMessage response)
    {
        if (!response.IsSuccessStatusCode)
        {
            var why = (int)response.StatusCode is 401 or 403 ? "; set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" : "";
            throw new NotAvailableException($"the MLflow server {_base} answers {(int)response.StatusCode}{why}");
        }
        try
        {
            using var document = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync().ConfigureAwait(false));
            return document.RootElement.Clone();
        }
        catch (Exception fault) when (fault is JsonException or HttpRequestException or IOException or OperationCanceledException)
        {
            throw new NotAvailableException($"{_base} does not answer as an MLflow server does; check MLFLOW_TRACKING_URI", fault);
        }
    }

    private string Text(JsonElement element, params ReadOnlySpan<string> path)
    {
        foreach (var name in path)
        {
            if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(name, out element))
                throw new NotAvailableException($"{_base} does not answer as an MLflow server does; check MLFLOW_TRACKING_URI");
        }
        return element.GetString() ?? "";
    }
}
