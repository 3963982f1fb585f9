using System.Text.Json;
using Trainer.Adapters;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Generating;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Models;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer chat</c>: a conversation with a model.</summary>
internal static class ChatCommand
{
    private const string Words = "/reset forgets the conversation, /save FILE keeps it as a training row, /adapter on|off|DIR, /system TEXT, /exit ends";
    private static readonly Setting System = new("system", SettingKind.Text, "Prompt", "System prompt.") { Value = "TEXT", Aliases = ["system-prompt"] };

    public static readonly CommandSpec Spec = new("chat", "Talk with a model.", Run)
    {
        Group = "Use",
        Description = $"Lines of standard input are your turns. {Words}.",
        Settings =
        [
            ModelSettings.Model, ReadingSettings.Adapter, ReadingSettings.Quantize, ModelSettings.DoubleQuant, ModelSettings.Dtype, ModelSettings.Device, ModelSettings.Threads,
            System, DataSettings.ChatTemplate with { Group = "Prompt" }, .. SamplingSettings.All,
        ],
        Examples = [("trainer chat --model tiny --adapter runs/a", "")],
    };

    private static int Run(Invocation invocation)
    {
        var values = invocation.Values;
        var options = ReadingSettings.Options(values, SourceReader.Demo.Folder);
        var sampling = SamplingSettings.Read(values);
        var system = values.Text(System);
        values.ThrowIfFaulty();
        ReadingSettings.SayIfTrainedQuantized(invocation, options.AdapterDirectory);
        using var speaker = Speaker.Load(options, new ProgressLine(invocation.Terminal, invocation.Quiet || !invocation.Terminal.IsLive));
        if (speaker.Template is null) throw new CommandFailedException(ExitCode.BadData, $"model '{options.Model}' has no chat template; add --chat-template FILE, or use trainer generate");
        var talk = new Talk(invocation, speaker, sampling, SamplingSettings.Stops(values)) { System = system };
        if (!invocation.Quiet) invocation.Terminal.Error.WriteLine(Words);
        while (true)
        {
            if (!Console.IsInputRedirected && !invocation.Quiet) invocation.Terminal.Error.Write("> ");
            if (Console.In.ReadLine() is not { } line || line.Trim() is "/exit" or "/quit") return ExitCode.Done;
            if (line.Trim().Length == 0) continue;
            if (line.StartsWith('/')) talk.Obey(line.Trim());
            else talk.Answer(line);
        }
    }

    private sealed class Talk(Invocation invocation, Speaker speaker, SamplingOptions sampling, IReadOnlyList<string> stops)
    {
        private readonly List<ChatMessage> _messages = [];

        public string? System { get; set; }

        public void Answer(string line)
        {
            _messages.Add(new ChatMessage("user", line));
            var output = invocation.Terminal.Out;
            var said = speaker.Continue(speaker.Conversation(All()), sampling, stops, text =>
            {
                output.Write(text);
                output.Flush();
            }, invocation.Stop.Token);
            output.WriteLine();
            output.Flush();
            _messages.Add(new ChatMessage("assistant", said.Text));
        }

        public void Obey(string line)
        {
            var parts = line.Split(' ', 2, StringSplitOptions.TrimEntries);
            var rest = parts.Length > 1 ? parts[1] : "";
            switch (parts[0])
            {
                case "/reset":
                    _messages.Clear();
                    Say("the conversation is forgotten");
                    break;
                case "/system":
                    System = rest.Length > 0 ? rest : null;
                    break;
                case "/save" when rest.Length > 0:
                    Try(() => File.AppendAllText(rest, JsonSerializer.Serialize(new { messages = All() }, Json.Compact) + "\n"));
                    break;
                case "/adapter" when rest is "on" or "off":
                    speaker.Model.AdaptersEnabled = rest == "on";
                    break;
                case "/adapter" when rest.Length > 0:
                    Try(() => PeftFolder.Load(speaker.Model, rest, dropout: 0));
                    break;
                default:
                    Say(Words);
                    break;
            }
        }

        private List<ChatMessage> All() => [.. System is null ? Array.Empty<ChatMessage>() : [new("system", System)], .. _messages];

        private void Say(string text) => invocation.Terminal.Error.WriteLine(text);

        private void Try(Action action)
        {
            try
            {
                action();
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or AdapterException or Checkpoints.BadFileException)
            {
                Say("error: " + fault.Message);
            }
        }
    }
}
