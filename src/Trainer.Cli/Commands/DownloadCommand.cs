using Trainer.Cli.CommandLine;
using Trainer.Cli.Rendering;
using Trainer.Hub;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer download</c>: a hub model into the shared Hugging Face cache.</summary>
internal static class DownloadCommand
{
    private static readonly Setting Include = new("include", SettingKind.List, "Download", "Fetch files of these patterns instead of what training needs.") { Value = "PATTERN" };
    private static readonly Setting Revision = new("revision", SettingKind.Text, "Download", "Branch, tag or commit.") { Value = "REV", DefaultNote = "main" };

    public static readonly CommandSpec Spec = new("download", "Fetch a hub model into the Hugging Face cache; the only command that uses the network.", Run)
    {
        Group = "Models",
        Description = "Fetches config, tokenizer and safetensors files of a hub model into the cache every Hugging Face tool shares (HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE are honoured). A broken-off download continues; every file is checked by its hash.",
        Positional = "MODEL",
        PositionalHelp = $"ORG/NAME, ORG/NAME@REVISION or a preset: {string.Join(", ", ModelPresets.All.Select(preset => preset.Name))}.",
        MaxPositionals = 1,
        Settings = [Include, Revision, CommonSettings.Json],
        Examples = [("trainer download NousResearch/Hermes-3-Llama-3.1-8B", ""), ("trainer download Qwen/Qwen2.5-0.5B-Instruct --include config.json,tokenizer*", "enough for plan and tokenize")],
    };

    private static int Run(Invocation invocation)
    {
        if (invocation.Positionals.Count == 0) throw new UsageException("no model; name a hub id, such as NousResearch/Hermes-3-Llama-3.1-8B, or a preset");
        var typed = invocation.Positionals[0];
        var revision = invocation.Values.Text(Revision);
        if (revision is not null && typed.Contains('@')) throw new UsageException($"'{typed}' and --revision '{revision}' both name a revision; keep one");
        if (ModelSource.HubId(revision is null ? typed : $"{typed}@{revision}") is not { } id)
            throw new UsageException($"'{typed}' is no hub id (ORG/NAME) and no preset ({string.Join(", ", ModelPresets.All.Select(preset => preset.Name))})");
        invocation.Values.ThrowIfFaulty();
        invocation.Stop.IsWatched = true;
        invocation.Stop.Say = text => invocation.Terminal.Error.WriteLine("stopping; the same command continues");
        var bar = new ProgressLine(invocation.Terminal, invocation.Quiet);
        var folder = new HubDownloader(HubOptions.FromEnvironment()).DownloadAsync(id, invocation.Values.List(Include), progress => bar.Show(Describe(progress), progress.BytesDone, progress.BytesTotal, progress.Note), invocation.Stop.Token).GetAwaiter().GetResult();
        bar.Finish();
        invocation.Terminal.Out.WriteLine(invocation.Json ? System.Text.Json.JsonSerializer.Serialize(new { model = id.Id, revision = id.Revision, folder }, Json.Indented) : folder);
        return ExitCode.Done;
    }

    private static string Describe(HubProgress progress) => $"{progress.File} ({progress.FilesDone}/{progress.FilesTotal} files, {Quantities.Bytes(progress.BytesDone)} of {Quantities.Bytes(progress.BytesTotal)})";
}
