using System.Text.Json;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Generating;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Engine;
using Trainer.Models;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer generate</c>: what a model says to a prompt.</summary>
internal static class GenerateCommand
{
    private static readonly Setting Prompt = new("prompt", SettingKind.Text, "Prompt", "What to answer or continue; '-' reads standard input.") { Short = "-p", Value = "TEXT" };
    private static readonly Setting System = new("system", SettingKind.Text, "Prompt", "System prompt.") { Value = "TEXT", Aliases = ["system-prompt"] };
    private static readonly Setting Raw = new("raw", SettingKind.Flag, "Prompt", "Continue the text as it is, without the model's chat template.") { Aliases = ["ignore-chat-template", "no-chat-template"] };
    private static readonly Setting Compare = new("compare", SettingKind.Flag, "Output", "Let the base answer too, for comparison with the adapter.");

    public static readonly CommandSpec Spec = new("generate", "What a model says to a prompt.", Run)
    {
        Group = "Use",
        Description = "The prompt is put into the model's chat template where it has one. Text streams to stdout as it comes.",
        Positional = "[RUN] [PROMPT]",
        PositionalHelp = "A run or adapter folder: base, adapter and template come from it; then the same as --prompt.",
        MaxPositionals = 2,
        Settings =
        [
            ModelSettings.Model, ReadingSettings.Adapter, ReadingSettings.Quantize, ModelSettings.DoubleQuant, ReadingSettings.Dtype, ModelSettings.Device, ModelSettings.Threads,
            Prompt, System, Raw, DataSettings.ChatTemplate with { Group = "Prompt" }, DataSettings.ChatTemplateArg with { Group = "Prompt" }, .. SamplingSettings.All, Compare, CommonSettings.Json,
        ],
        Examples = [("trainer generate runs/a 'Tell me about the harbour.'", ""), ("trainer generate --model tiny --prompt 'Tell me about the harbour.'", ""), ("trainer generate --model tiny --adapter runs/a --prompt 'Hello' --compare --temperature 0.7", "")],
    };

    private static int Run(Invocation invocation)
    {
        var words = invocation.Positionals.ToList();
        var run = words.Count > 0 && (words.Count == 2 || RunFolders.IsAdapter(words[0])) ? words[0] : null;
        if (run is not null) words.RemoveAt(0);
        var values = RunFolders.Expand(invocation.Values, run);
        invocation = invocation with { Values = values, Positionals = words };
        var options = ReadingSettings.Options(values, SourceReader.Demo.Folder);
        var sampling = SamplingSettings.Read(values);
        var (prompt, system, raw, compare) = (ReadPrompt(invocation), values.Text(System), values.Flag(Raw) ?? false, values.Flag(Compare) ?? false);
        if (compare && options.AdapterDirectory is null) values.Fault("--compare needs an adapter to compare the base with; add --adapter DIR");
        if (raw && system is not null) values.Fault("--raw and --system exclude each other: a system prompt has its place in the chat template");
        values.ThrowIfFaulty();
        ReadingSettings.SayIfTrainedQuantized(invocation, options.AdapterDirectory, options.ModelDirectory);
        invocation.Stop.Watch("");
        using var speaker = Speaker.Load(options, new ProgressLine(invocation.Terminal, invocation.Quiet || !invocation.Terminal.IsLive));
        var chat = !raw && speaker.HasTemplate;
        if (system is not null && !chat) throw new UsageException($"--system: model '{options.Model}' has no chat template; add --chat-template FILE or put it into the prompt");
        var ids = chat ? speaker.Conversation([.. system is null ? Array.Empty<ChatMessage>() : [new("system", system)], new("user", prompt)]) : speaker.Plain(prompt);
        Continuation? before = compare ? Speak(invocation, speaker, ids, sampling, "base", withAdapter: false) : null;
        var said = Speak(invocation, speaker, ids, sampling, compare ? "adapter" : null, withAdapter: true);
        if (invocation.Json)
            invocation.Terminal.Out.WriteLine(JsonSerializer.Serialize(new { prompt, text = said.Text, tokens = said.Tokens, prompt_tokens = ids.Length, finish_reason = said.FinishReason, base_text = before?.Text, tokens_per_second = Json.Finite(said.TokensPerSecond) }, Json.Indented));
        else if (invocation.Verbose) invocation.Terminal.Error.WriteLine(said.Summary);
        return ExitCode.Done;
    }

    private static string ReadPrompt(Invocation invocation)
    {
        var values = invocation.Values;
        // An empty prompt is a prompt: the model begins at its start token.
        var named = values.Items(Prompt);
        if (named.Count > 1) values.Fault($"{values.Origin(Prompt)} was given {named.Count} times; keep one");
        if (named.Count > 0 && invocation.Positionals.Count > 0) values.Fault("--prompt and the word at the end are two prompts; keep one");
        if (named.Count == 0 && invocation.Positionals.Count == 0) values.Fault("no prompt; add --prompt TEXT, or --prompt - to read standard input");
        var prompt = named.Count > 0 ? named[0].Text : invocation.Positionals.Count > 0 ? invocation.Positionals[0] : "";
        return prompt == "-" ? Console.In.ReadToEnd().TrimEnd('\n') : prompt;
    }

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
