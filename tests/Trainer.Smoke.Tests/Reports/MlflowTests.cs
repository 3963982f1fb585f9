using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace Trainer.Smoke.Tests.Reports;

/// <summary>Runs logged to an MLflow server on this machine, which speaks what its REST API documents; and to one that is away or angry.</summary>
[Trait("ring", "smoke")]
public sealed class MlflowTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly HttpListener _server = new();
    private readonly string _address;
    private readonly ConcurrentQueue<(string Call, string? Authorization, JsonElement Body)> _calls = new();
    private int _status = 200;

    public MlflowTests()
    {
        using (var probe = new TcpListener(IPAddress.Loopback, 0))
        {
            probe.Start();
            _address = $"http://127.0.0.1:{((IPEndPoint)probe.LocalEndpoint).Port}";
        }
        _server.Prefixes.Add(_address + "/");
        _server.Start();
        _ = Task.Run(Serve);
    }

    public void Dispose()
    {
        _server.Close();
        _folder.Dispose();
    }

    private async Task Serve()
    {
        while (_server.IsListening)
        {
            HttpListenerContext context;
            try
            {
                context = await _server.GetContextAsync();
            }
            catch (Exception fault) when (fault is HttpListenerException or ObjectDisposedException)
            {
                return;
            }
            var call = context.Request.Url!.AbsolutePath["/api/2.0/mlflow/".Length..];
            using var body = new MemoryStream();
            await context.Request.InputStream.CopyToAsync(body);
            _calls.Enqueue((call, context.Request.Headers["Authorization"], body.Length == 0 ? default : JsonDocument.Parse(body.ToArray()).RootElement));
            context.Response.StatusCode = call == "experiments/get-by-name" && _status == 200 ? 404 : _status;
            await context.Response.OutputStream.WriteAsync(call switch
            {
                "experiments/create" => """{"experiment_id":"7"}"""u8.ToArray(),
                "runs/create" => """{"run":{"info":{"run_id":"abc"}}}"""u8.ToArray(),
                _ => "{}"u8.ToArray(),
            });
            context.Response.Close();
        }
    }

    private ProgramResult Train(string[] more, params (string, string)[] environment)
        => TrainerProgram.RunWarm(new ProgramRun(["train", "--model", "tiny", "--data", "demo", "--logging-steps", "1", "--output-dir", "run", "--report-to",
            "mlflow", .. more])
    { Directory = _folder.Path, Environment = environment.ToDictionary(pair => pair.Item1, pair => pair.Item2) });

    private IEnumerable<(string Key, double Value, long Step)> Metrics
        => _calls.Where(call => call.Call == "runs/log-batch" && call.Body.TryGetProperty("metrics", out _))
        .SelectMany(call => call.Body.GetProperty("metrics").EnumerateArray())
        .Select(one => (one.GetProperty("key").GetString()!, one.GetProperty("value").GetDouble(), one.GetProperty("step").GetInt64()));

    [Fact]
    public void A_run_and_its_continuation_are_one_run_there()
    {
        var result = Train(["--max-steps", "2"], ("MLFLOW_TRACKING_URI", _address), ("MLFLOW_EXPERIMENT_NAME", "mine"),
            ("MLFLOW_TRACKING_TOKEN", "secret-word"));
        Assert.True(result.ExitCode == 0, result.Error);
        Assert.All(_calls, call => Assert.Equal("Bearer secret-word", call.Authorization));
        Assert.Equal("mine", _calls.Single(call => call.Call == "experiments/create").Body.GetProperty("name").GetString());
        var created = _calls.Single(call => call.Call == "runs/create").Body;
        Assert.Equal(("7", "run"), (created.GetProperty("experiment_id").GetString(), created.GetProperty("run_name").GetString()));
        Assert.Contains(_calls, call => call.Call == "runs/log-batch" && call.Body.TryGetProperty("params", out var parameters)
            && parameters.EnumerateArray().Any(one => one.GetProperty("key").GetString() == "learning_rate"));
        var rows = File.ReadLines(Path.Combine(_folder.Path, "run", "metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.Equal(rows.Where(row => row.TryGetProperty("loss", out _))
            .Select(row => (row.GetProperty("step").GetInt64(), row.GetProperty("loss").GetDouble())),
            Metrics.Where(one => one.Key == "train/loss").Select(one => (one.Step, one.Value)));
        Assert.Equal([0L, 2], Metrics.Where(one => one.Key == "eval/loss").Select(one => one.Step));
        Assert.Equal("FINISHED", _calls.Last().Body.GetProperty("status").GetString());

        Assert.Equal(0, Train(["--max-steps", "3", "--resume", "--mlflow-uri", _address]).ExitCode);
        Assert.Single(_calls, call => call.Call == "runs/create");
        Assert.Contains(Metrics, one => one is { Key: "train/loss", Step: 3 });
        Assert.All(_calls.Where(call => call.Call == "runs/log-batch"), call => Assert.Equal("abc", call.Body.GetProperty("run_id").GetString()));
        // The word is nowhere in what the run leaves.
        Assert.All(Directory.GetFiles(Path.Combine(_folder.Path, "run"), "*", SearchOption.AllDirectories).Where(file => new FileInfo(file).Length < 1_000_000),
            file => Assert.DoesNotContain("secret-word", File.ReadAllText(file), StringComparison.Ordinal));
        Assert.DoesNotContain("secret-word", result.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(500, "answers 500")]
    [InlineData(401, "MLFLOW_TRACKING_TOKEN")]
    [InlineData(0, "does not answer")]
    public void A_server_that_fails_is_told_and_the_run_goes_on(int status, string why)
    {
        _status = status;
        if (status == 0) _server.Close();
        var result = Train(["--max-steps", "2", "--mlflow-uri", _address]);
        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Contains(why, Assert.Single(result.Error.Split('\n'), line => line.Contains("MLflow", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(_folder.Path, "run", "adapter_model.safetensors")));
    }

    [Theory]
    [InlineData("", "MLFLOW_TRACKING_URI")]
    [InlineData("--mlflow-uri=mlruns", "no http")]
    [InlineData("--mlflow-uri=http://me:word@host", "MLFLOW_TRACKING_PASSWORD")]
    public void A_run_is_not_begun_where_no_server_is_named(string option, string why)
    {
        var fault = Assert.Single(Train(option.Length > 0 ? [option] : []).Faults(2));
        Assert.Contains(why, fault, StringComparison.Ordinal);
        Assert.DoesNotContain("me:word", fault, StringComparison.Ordinal);
    }
}
