using System.Text;
using System.Text.Json;
using Trainer.Adapters;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Generating;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Data;
using Trainer.Engine.Generation;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer chat</c>: a conversation with a model.</summary>
internal static class ChatCommand
{
    private const string Words = "/reset forgets the conversation, /save FILE keeps it as a training row, /adapter on|off|DIR, /system TEXT, /exit ends";
    private static readonly Setting System = new("system", SettingKind.Text, "Prompt", "System prompt.") { Value = "TEXT", Aliases = ["system-prompt"] };

    public static readonly CommandSpec Spec = new("chat", "Talk with a model.", Run)
    {
        Group = "Use",
        Positional = "[RUN]",
        PositionalHelp = "A run or adapter folder: base, adapter and template come from it. Else the same as --model.",
        MaxPositionals = 1,
        Description = "Lines of standard input are your turns; on a terminal they can be edited, the arrow keys bring back earlier ones, and Alt-Enter, a "
            + $"backslash at the end or pasted text goes on in a new line. {Words}.",
        Settings =
        [
            ModelSettings.Model, ReadingSettings.Adapter, ReadingSettings.Quantize, ModelSettings.DoubleQuant, ReadingSettings.Dtype, ModelSettings.Device,
            CommonSettings.Libtorch, ModelSettings.Threads,
            System, DataSettings.ChatTemplate with { Group = "Prompt" }, DataSettings.ChatTemplateArg with { Group = "Prompt" }, .. SamplingSettings.All,
        ],
        Examples = [("trainer chat runs/a", ""), ("trainer chat --model tiny", "")],
    };

    private static int Run(Invocation invocation)
    {
        var values = RunFolders.Expand(invocation.Values, invocation.Word);
        var options = ReadingSettings.Options(values, SourceReader.Demo.Folder, invocation.Terminal);
        var sampling = SamplingSettings.Read(values);
        var system = values.Text(System);
        values.ThrowIfFaulty();
        ReadingSettings.SayIfTrainedQuantized(invocation, options.AdapterDirectory, options.ModelDirectory);
        using var speaker = Speaker.Load(options, new ProgressLine(invocation.Terminal, invocation.Quiet || !invocation.Terminal.IsLive));
        if (!speaker.HasTemplate)
            throw new CommandFailedException(ExitCode.BadData,
                $"model '{options.Model}' has no chat template; add --chat-template FILE, or use trainer generate");
        var talk = new Talk(invocation, speaker, sampling, SamplingSettings.Stops(values)) { System = system };
        invocation.Stop.Interrupt = talk.Interrupt;
        if (!invocation.Quiet) invocation.Terminal.Error.WriteLine(Words);
        var editor = Console.IsInputRedirected || !invocation.Terminal.IsLive ? null : new LineEditor(invocation.Terminal);
        while (true)
        {
            if (editor is null && !Console.IsInputRedirected && !invocation.Quiet) invocation.Terminal.Error.Write("> ");
            if ((editor is null ? Console.In.ReadLine() : editor.Read("> ")) is not { } line || line.Trim() is "/exit" or "/quit") return ExitCode.Done;
            if (line.Trim().Length == 0) continue;
            if (line.StartsWith('/')) talk.Obey(line.Trim());
            else talk.Answer(line);
        }
    }

    private sealed class Talk(Invocation invocation, Speaker speaker, SamplingOptions sampling, IReadOnlyList<string> stops)
    {
        private readonly List<ChatMessage> _messages = [];

        public string? System { get; set; }

        private readonly Lock _lock = new();
        private CancellationTokenSource? _answering;

        /// <summary>Ctrl-C ends the answer that is being given, not the conversation; false where none is, so that it ends the program.</summary>
        public bool Interrupt()
        {
            lock (_lock)
            {
                if (_answering is not { IsCancellationRequested: false } answering) return false;
                answering.Cancel();
                return true;
            }
        }

        public void Answer(string line)
        {
            _messages.Add(new ChatMessage("user", line));
            var heard = new StringBuilder();
            using var answering = new CancellationTokenSource();
            SetAnswering(answering);
            try
            {
                var said = speaker.Continue(speaker.Conversation(All()), sampling, stops, Hear, answering.Token);
                EndLine();
                if (invocation.Verbose) Say(said.Summary);
            }
            catch (OperationCanceledException)
            {
                EndLine();
                Say("(interrupted)");
            }
            catch (Exception fault) when (fault is CommandFailedException or DataException)
            {
                // The turn is taken back: the conversation is as it was before it.
                _messages.RemoveAt(_messages.Count - 1);
                Say($"error: {fault.Message}; this turn is not kept, /reset forgets the conversation");
                return;
            }
            finally
            {
                SetAnswering(null);
            }
            _messages.Add(new ChatMessage("assistant", heard.ToString()));

            void EndLine()
            {
                invocation.Terminal.Out.WriteLine();
                invocation.Terminal.Out.Flush();
            }

            void Hear(string text)
            {
                heard.Append(text);
                invocation.Terminal.Exact.Write(text);
                invocation.Terminal.Out.Flush();
            }
        }

        private void SetAnswering(CancellationTokenSource? answering)
        {
            lock (_lock) _answering = answering;
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
                    Say(System is null ? "no system prompt" : "the system prompt is set");
                    break;
                case "/save" when rest.Length > 0:
                    rest = UserPath.Expand(rest);
                    Try(() => File.AppendAllText(rest, JsonSerializer.Serialize(new { messages = All() }, Json.Compact) + "\n"),
                        $"a row of {All().Count} messages is appended to '{rest}'");
                    break;
                case "/adapter" when rest is "on" or "off":
                    speaker.Model.AdaptersEnabled = rest == "on" && speaker.HasAdapter;
                    Say(speaker.HasAdapter ? $"the adapter is {rest}" : "there is no adapter; load one with /adapter DIR");
                    break;
                case "/adapter" when rest.Length > 0:
                    Try(() => speaker.Adapt(UserPath.Expand(rest)), $"the adapter is '{rest}'");
                    break;
                default:
                    Say(Words);
                    break;
            }
        }

        private List<ChatMessage> All() => [.. System is null ? Array.Empty<ChatMessage>() : [new("system", System)], .. _messages];

        private void Say(string text) => invocation.Terminal.Error.WriteLine(text);

        private void Try(Action action, string done)
        {
            try
            {
                action();
                Say(done);
            }
            catch (Exception fault) when (Checkpoints.Atomic.WriteFault.Covers(fault) || fault is AdapterException or Checkpoints.BadFileException)
            {
                Say("error: " + fault.Message);
            }
        }
    }
}
