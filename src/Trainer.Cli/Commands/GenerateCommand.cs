using System.Text.Json;
using Trainer.Checkpoints.Atomic;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Generating;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Engine.Generation;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer generate</c>: what a model says to a prompt.</summary>
internal static class GenerateCommand
{
    private static readonly Setting Prompt = new("prompt", SettingKind.Text, "Prompt",
        "What to answer or continue, repeatable; '-' reads standard input.") { Short = "-p", Value = "TEXT" };
    private static readonly Setting Prompts = new("prompts", SettingKind.Text, "Prompt",
        "File of prompts, one a line; in a .jsonl file JSON strings, or objects with a prompt.") { Value = "FILE", Aliases = ["prompt-file", "prompts-file"] };
    private static readonly Setting System = new("system", SettingKind.Text, "Prompt", "System prompt.") { Value = "TEXT", Aliases = ["system-prompt"] };
    private static readonly Setting Raw = new("raw", SettingKind.Flag, "Prompt",
        "Continue the text as it is, without the model's chat template.") { Aliases = ["ignore-chat-template", "no-chat-template"] };
    private static readonly Setting Compare = new("compare", SettingKind.Flag, "Output", "Let the base answer too, for comparison with the adapter.");

    public static readonly CommandSpec Spec = new("generate", "What a model says to a prompt.", Run)
    {
        Group = "Use",
        Description = "The prompt is put into the model's chat template where it has one. Text streams to stdout as it comes; several prompts are answered "
            + "together, each as it would be alone.",
        Positional = "[RUN] [PROMPT]",
        PositionalHelp = "A run or adapter folder: base, adapter and template come from it; then the same as --prompt.",
        MaxPositionals = 2,
        Settings =
        [
            ModelSettings.Model, ReadingSettings.Adapter, ReadingSettings.Quantize, ModelSettings.DoubleQuant, ReadingSettings.Dtype, ModelSettings.Device,
            CommonSettings.Libtorch, ModelSettings.Threads,
            Prompt, Prompts, System, Raw, DataSettings.ChatTemplate with { Group = "Prompt" }, DataSettings.ChatTemplateArg with { Group = "Prompt" },
            .. SamplingSettings.All, SamplingSettings.BatchSize, Compare, CommonSettings.Json,
        ],
        Examples = [("trainer generate runs/a 'Tell me about the harbour.'", ""), ("trainer generate --model tiny --prompt 'Tell me about the harbour.'", ""),
            ("trainer generate --model tiny --adapter runs/a --prompt 'Hello' --compare --temperature 0.7", "")],
    };

    private static int Run(Invocation invocation)
    {
        var words = invocation.Positionals.ToList();
        var run = words.Count > 0 && (words.Count == 2 || RunFolders.IsAdapter(words[0])) ? words[0] : null;
        if (run is not null) words.RemoveAt(0);
        var values = RunFolders.Expand(invocation.Values, run);
        invocation = invocation with { Values = values, Positionals = words };
        var options = ReadingSettings.Options(values, SourceReader.Demo.Folder, invocation.Terminal);
        var sampling = SamplingSettings.Read(values);
        var (prompts, system, raw, compare) = (ReadPrompts(invocation), values.Text(System), values.Flag(Raw) ?? false, values.Flag(Compare) ?? false);
        if (compare && options.AdapterDirectory is null) values.Fault("--compare needs an adapter to compare the base with; add --adapter DIR");
        if (raw && system is not null) values.Fault("--raw and --system exclude each other: a system prompt has its place in the chat template");
        values.ThrowIfFaulty();
        ReadingSettings.SayIfTrainedQuantized(invocation, options.AdapterDirectory, options.ModelDirectory);
        invocation.Stop.Watch("");
        using var speaker = Speaker.Load(options, new ProgressLine(invocation.Terminal, invocation.Quiet || !invocation.Terminal.IsLive));
        var chat = !raw && speaker.HasTemplate;
        if (system is not null && !chat)
            throw new UsageException($"--system: model '{options.Model}' has no chat template; add --chat-template FILE or put it into the prompt");
        int[][] all = [.. prompts.Select(prompt => chat
            ? speaker.Conversation([.. system is null ? Array.Empty<ChatMessage>() : [new("system", system)], new("user", prompt)]) : speaker.Plain(prompt))];
        if (all.Length > 1) return SpeakAll(invocation, speaker, prompts, all, sampling, compare);
        var (prompt, ids) = (prompts[0], all[0]);
        var before = compare ? Speak(invocation, speaker, ids, sampling, "base", withAdapter: false) : null;
        var said = Speak(invocation, speaker, ids, sampling, compare ? "adapter" : null, withAdapter: true);
        if (invocation.Json)
            invocation.Terminal.Out.WriteLine(JsonSerializer.Serialize(Document(prompt, ids.Length, said, before), Json.Indented));
        else if (invocation.Verbose) invocation.Terminal.Error.WriteLine(said.Summary);
        return ExitCode.Done;
    }

    private static IReadOnlyList<string> ReadPrompts(Invocation invocation)
    {
        var values = invocation.Values;
        // An empty prompt is a prompt: the model begins at its start token.
        List<string> named = [.. values.Items(Prompt).Select(item => item.Text)];
        if (named.Count > 0 && invocation.Positionals.Count > 0) values.Fault("--prompt and the word at the end are two prompts; keep one");
        if (named.Count(prompt => prompt == "-") > 1) values.Fault($"{values.Origin(Prompt)} - reads all of standard input; keep one");
        if (values.Text(Prompts) is { } file)
        {
            if (named.Count + invocation.Positionals.Count > 0)
                values.Fault($"{values.Origin(Prompts)} and {(named.Count > 0 ? "--prompt" : "the word at the end")} both say what to answer; keep one");
            else if (!File.Exists(file)) values.Fault($"{values.Origin(Prompts)} '{file}': no such file");
            else return PromptFile.Read(file);
        }
        else if (named.Count == 0 && invocation.Positionals.Count == 0)
            values.Fault("no prompt; add --prompt TEXT, or --prompt - to read standard input");
        return [.. named.Concat(invocation.Positionals).DefaultIfEmpty("")
            .Select(prompt => prompt == "-" ? SmallFile.Rest(Console.In, "standard input").TrimEnd('\n') : prompt)];
    }

    // Answers come out in the order of the prompts, each as soon as those before it are there.
    private static int SpeakAll(Invocation invocation, Speaker speaker, IReadOnlyList<string> prompts, int[][] ids, SamplingOptions sampling, bool compare)
    {
        var (output, values) = (invocation.Terminal.Out, invocation.Values);
        Continuation[] Speak(bool withAdapter, Action<int, Continuation> tell)
        {
            speaker.Model.AdaptersEnabled = withAdapter;
            var (said, told) = (new Continuation?[ids.Length], 0);
            speaker.ContinueAll(ids, sampling, SamplingSettings.Stops(values), values.Integer(SamplingSettings.BatchSize), (index, text) =>
            {
                said[index] = text;
                for (; told < said.Length && said[told] is { } next; told++) tell(told, next);
            }, invocation.Stop.Token);
            return said!;
        }
        var before = compare ? Speak(withAdapter: false, static (_, _) => { }) : null;
        var after = Speak(withAdapter: true, (index, text) =>
        {
            if (invocation.Json) return;
            output.WriteLine($"--- {index + 1}: {SafeText.Of(prompts[index].ReplaceLineEndings(" "))}");
            if (before is not null)
            {
                output.WriteLine("--- base");
                invocation.Terminal.Exact.Write(before[index].Text);
                output.WriteLine();
                output.WriteLine("--- adapter");
            }
            invocation.Terminal.Exact.Write(text.Text);
            output.WriteLine();
            output.Flush();
            if (invocation.Verbose) invocation.Terminal.Error.WriteLine(text.Summary);
        });
        if (invocation.Json)
            output.WriteLine(JsonSerializer.Serialize(prompts.Select((prompt, index) => Document(prompt, ids[index].Length, after[index], before?[index])),
                Json.Indented));
        return ExitCode.Done;
    }

    private static object Document(string prompt, int promptTokens, Continuation said, Continuation? before) => new
    {
        prompt,
        text = said.Text,
        tokens = said.Tokens,
        prompt_tokens = promptTokens,
        finish_reason = said.FinishReason,
        base_text = before?.Text,
        tokens_per_second = Json.Finite(said.TokensPerSecond),
    };

    private static Continuation Speak(Invocation invocation, Speaker speaker, int[] ids, SamplingOptions sampling, string? heading, bool withAdapter)
    {
        var output = invocation.Terminal.Out;
        speaker.Model.AdaptersEnabled = withAdapter;
        if (invocation.Json) return speaker.Continue(ids, sampling, SamplingSettings.Stops(invocation.Values), _ => { }, invocation.Stop.Token);
        if (heading is not null) output.WriteLine($"--- {heading}");
        var said = speaker.Continue(ids, sampling, SamplingSettings.Stops(invocation.Values), text =>
        {
            invocation.Terminal.Exact.Write(text);
            output.Flush();
        }, invocation.Stop.Token);
        output.WriteLine();
        output.Flush();
        return said;
    }
}
