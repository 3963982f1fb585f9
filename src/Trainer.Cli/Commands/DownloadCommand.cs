using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Data;
using Trainer.Hub;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer download</c>: a hub model into the shared Hugging Face cache.</summary>
internal static class DownloadCommand
{
    private static readonly Setting Include = new("include", SettingKind.List, "Download",
        "Fetch files of these patterns instead of what training needs.") { Value = "PATTERN" };
    private static readonly Setting Revision = new("revision", SettingKind.Text, "Download", "Branch, tag or commit.") { Value = "REV", DefaultNote = "main" };

    private static readonly Setting Dataset = new("dataset", SettingKind.Text, "Download",
        "Fetch a data set in place of a model: ORG/NAME[@REVISION][:SUBSET][/SPLIT]; only the files that it needs.") { Value = "NAME" };

    public static readonly CommandSpec Spec = new("download", "Fetch a hub model or data set into the Hugging Face cache.", Run)
    {
        Group = "Models",
        Description = "Fetches config, tokenizer and safetensors files of a hub model into the cache every Hugging Face tool shares (HF_HOME, HF_HUB_CACHE, "
            + "HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE are honoured). A broken-off download continues; every file is checked by its hash.",
        Positional = "MODEL",
        PositionalHelp = $"ORG/NAME, ORG/NAME@REVISION or a preset: {string.Join(", ", ModelPresets.All.Select(preset => preset.Name))}.",
        MaxPositionals = 1,
        Settings = [Dataset, Include, Revision, CommonSettings.Json],
        Examples = [("trainer download NousResearch/Hermes-3-Llama-3.1-8B", ""),
            ("trainer download Qwen/Qwen2.5-0.5B-Instruct --include config.json,tokenizer*", "enough for plan and tokenize"),
            ("trainer download --dataset openai/gsm8k:main", "then: trainer train --data openai/gsm8k:main ...")],
    };

    private static int Run(Invocation invocation)
    {
        if (invocation.Values.Text(Dataset) is { } dataset) return RunDataset(invocation, dataset);
        if (invocation.Positionals.Count == 0 || invocation.Positionals[0].Length == 0)
            throw new UsageException("no model; name a hub id, such as NousResearch/Hermes-3-Llama-3.1-8B, or a preset");
        var typed = invocation.Positionals[0];
        var revision = invocation.Values.Text(Revision);
        if (revision is not null && typed.Contains('@')) throw new UsageException($"'{typed}' and --revision '{revision}' both name a revision; keep one");
        if (ModelSource.HubId(revision is null ? typed : $"{typed}@{revision}") is not { } id)
            throw new UsageException($"'{typed}' is no hub id (ORG/NAME) and no preset ({string.Join(", ", ModelPresets.All.Select(preset => preset.Name))})");
        var folder = Fetch(invocation, id, invocation.Values.List(Include));
        return Answer(invocation, id, folder);
    }

    /// <summary>The card first: it says which files the subset and the split need.</summary>
    private static int RunDataset(Invocation invocation, string typed)
    {
        if (invocation.Positionals.Count > 0)
            throw new UsageException($"--dataset '{typed}' and model '{invocation.Positionals[0]}': one thing is fetched at a time; leave one out");
        var options = HubOptions.FromEnvironment();
        if (HubData.Find(typed, new HubCache("")) is not { } data)
            throw new UsageException($"--dataset '{typed}' is no name of a data set; write ORG/NAME, ORG/NAME:SUBSET or ORG/NAME/SPLIT");
        var id = data.Id;
        if (invocation.Values.Text(Revision) is { } revision)
            id = id.IsRevisionGiven ? throw new UsageException($"--dataset '{typed}' and --revision '{revision}' both name a revision; keep one")
                : (HubModelId.TryParse($"{id.Id}@{revision}")
                    ?? throw new UsageException($"--revision '{revision}' is no revision")) with { Kind = HubKind.Dataset };
        var includes = invocation.Values.List(Include);
        invocation.Values.ThrowIfFaulty();
        if (includes.Count == 0)
        {
            var paths = new HubDownloader(options).ListAsync(id, invocation.Stop.Token).GetAwaiter().GetResult();
            var card = paths.Contains("README.md") ? Fetch(invocation, id, ["README.md"]) : null;
            includes = [.. DatasetChoice.Of(id.ToString(), paths, card, data.Subset, data.Split)];
        }
        return Answer(invocation, id, Fetch(invocation, id, includes));
    }

    private static string Fetch(Invocation invocation, HubModelId id, IReadOnlyList<string> includes)
    {
        invocation.Values.ThrowIfFaulty();
        var bar = new ProgressLine(invocation.Terminal, invocation.Quiet);
        invocation.Stop.Leave = bar.Finish;
        invocation.Stop.Watch("stopping; the same command continues");
        var folder = new HubDownloader(HubOptions.FromEnvironment()).DownloadAsync(id, includes,
            progress => bar.Show(progress.File.Length == 0 ? "" : Describe(progress), progress.BytesDone, progress.BytesTotal, progress.Note),
            invocation.Stop.Token).GetAwaiter().GetResult();
        bar.Finish();
        return folder;
    }

    private static int Answer(Invocation invocation, HubModelId id, string folder)
    {
        object answer = id.Kind == HubKind.Dataset
            ? new { dataset = id.Id, revision = id.Revision, folder } : new { model = id.Id, revision = id.Revision, folder };
        invocation.Terminal.Out.WriteLine(invocation.Json ? System.Text.Json.JsonSerializer.Serialize(answer, Json.Indented) : folder);
        return ExitCode.Done;
    }

    private static string Describe(HubProgress progress)
        => $"{progress.File} ({progress.FilesDone}/{progress.FilesTotal} files, {Quantities.Bytes(progress.BytesDone)} of "
            + $"{Quantities.Bytes(progress.BytesTotal)})";
}
