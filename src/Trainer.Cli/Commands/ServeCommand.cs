using System.Net;
using System.Net.Sockets;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Generating;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Cli.Serving;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer serve</c>: an endpoint to try base and adapter from any client.</summary>
internal static class ServeCommand
{
    private const string Group = "Server";
    private const string KeyVariable = "TRAINER_API_KEY";

    // How long answers that are being given may go on when the server is asked to end.
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(10);

    private static readonly Setting Host = new("host", SettingKind.Text, Group,
        "Address to listen on; one that others can reach needs a key.") { Value = "ADDRESS", Default = "127.0.0.1" };
    private static readonly Setting Port = new("port", SettingKind.Integer, Group,
        "Port to listen on; 0 takes a free one.") { Value = "N", Minimum = 0, Maximum = 65535, Default = "8080" };
    private static readonly Setting Key = new("api-key", SettingKind.Text, Group,
        $"What clients must send as their key; {KeyVariable} in the environment shows it to no list of processes.") { Value = "KEY" };
    private static readonly Setting MaxRequest = new("max-request-size", SettingKind.Bytes, Group,
        "Largest body of a request.") { Value = "SIZE", Default = "1MiB" };
    private static readonly Setting Timeout = new("request-timeout", SettingKind.Duration, Group,
        "Longest time from a request to the end of its answer, waiting included.") { Value = "TIME", Default = "10m" };
    private static readonly Setting Queue = new("max-queue", SettingKind.Integer, Group,
        "Requests that may wait while others are answered.") { Value = "N", Minimum = 1, Maximum = 65536, Default = "64" };

    private static readonly Setting BatchSize = SamplingSettings.BatchSize with { Group = Group };

    public static readonly CommandSpec Spec = new("serve", "An OpenAI-compatible endpoint for base and adapter.", Run)
    {
        Group = "Use",
        Description = "Answers /v1/chat/completions, /v1/completions and /v1/models on the loopback. A request chooses with \"model\": \"adapter\" or "
            + "\"base\". " +
            "Sampling options are what holds where a request is silent; --max-tokens is the most it gets. The address is printed on stdout.",
        Positional = "[RUN]",
        PositionalHelp = "A run or adapter folder: base, adapter and template come from it. Else the same as --model.",
        MaxPositionals = 1,
        Settings =
        [
            Host, Port, Key, MaxRequest, Timeout, Queue, BatchSize,
            ModelSettings.Model, ReadingSettings.Adapter, ReadingSettings.Quantize, ModelSettings.DoubleQuant, ReadingSettings.Dtype, ModelSettings.Device,
            CommonSettings.Libtorch, ModelSettings.Threads,
            DataSettings.ChatTemplate with { Group = "Prompt" }, DataSettings.ChatTemplateArg with { Group = "Prompt" }, .. SamplingSettings.All,
        ],
        Examples = [("trainer serve runs/a", ""),
            ("curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' -d "
                + "'{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}'", "ask it")],
    };

    private static int Run(Invocation invocation)
    {
        var values = RunFolders.Expand(invocation.Values, invocation.Word);
        var reading = ReadingSettings.Options(values, SourceReader.Demo.Folder, invocation.Terminal);
        var sampling = SamplingSettings.Read(values);
        var host = values.Text(Host) ?? "127.0.0.1";
        var key = values.Text(Key) ?? (Environment.GetEnvironmentVariable(KeyVariable) is { Length: > 0 } given ? given : null);
        if (!IPAddress.TryParse(host == "localhost" ? "127.0.0.1" : host, out var address))
            values.Fault($"{values.Origin(Host)} '{host}' is no address; write 127.0.0.1, ::1 or 0.0.0.0");
        else if (key is null && !IPAddress.IsLoopback(address))
            values.Fault($"{values.Origin(Host)} {host} can be reached by others; add --api-key KEY, or set {KeyVariable}");
        var (port, most) = (values.Integer(Port) ?? 8080, values.Integer(Queue) ?? 64);
        var (bytes, timeout) = (values.Bytes(MaxRequest) ?? 1 << 20, values.Duration(Timeout) ?? TimeSpan.FromMinutes(10));
        values.ThrowIfFaulty();
        ReadingSettings.SayIfTrainedQuantized(invocation, reading.AdapterDirectory, reading.ModelDirectory);
        using var speaker = Speaker.Load(reading, new ProgressLine(invocation.Terminal, invocation.Quiet || !invocation.Terminal.IsLive));
        using var queue = new AnswerQueue(speaker, most, values.Integer(BatchSize) ?? SamplingSettings.AtOnce);
        var options = new ServeOptions
        {
            Address = address!, Port = port, Key = key, MaxRequestBytes = bytes, Timeout = timeout, Sampling = sampling,
            HasAdapter = speaker.HasAdapter, HasTemplate = speaker.HasTemplate,
        };
        var server = new ApiServer(options, queue);
        try
        {
            Serve(invocation, server, queue, speaker.HasAdapter);
        }
        finally
        {
            server.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
        return ExitCode.Done;
    }

    private static void Serve(Invocation invocation, ApiServer server, AnswerQueue queue, bool hasAdapter)
    {
        // Answers that are being given get their own time of grace.
        invocation.Stop.MustFinish = true;
        invocation.Stop.Watch("closing; answers that are being given are finished", invocation.Terminal.Error.WriteLine);
        using var grace = new Timer(_ => server.Cancel());
        using var end = invocation.Stop.Token.Register(() =>
        {
            queue.Close();
            grace.Change(Grace, System.Threading.Timeout.InfiniteTimeSpan);
        });
        try
        {
            var url = server.Start();
            if (!invocation.Quiet) invocation.Terminal.Error.WriteLine($"models: {(hasAdapter ? "adapter, base" : "base")}; Ctrl-C ends");
            invocation.Terminal.Out.WriteLine(url);
            invocation.Terminal.Out.Flush();
        }
        catch (IOException fault) when (fault.InnerException is Microsoft.AspNetCore.Connections.AddressInUseException
            || fault.InnerException is SocketException)
        {
            throw new CommandFailedException(ExitCode.Missing,
                $"the port is taken ({fault.Message.TrimEnd('.')}); name another with --port, or 0 for a free one");
        }
        queue.Work();
    }
}
