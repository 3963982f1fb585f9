using System.Text.Json;
using Trainer.Adapters;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Hub;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer push</c>: an adapter or a model to the hub.</summary>
internal static class PushCommand
{
    // What others need to use it; checkpoints, logs and records of the run stay here.
    private static readonly string[] Files =
    [
        "README.md", "adapter_config.json", "adapter_model.safetensors", "config.json", "generation_config.json", "model*.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
        "chat_template.jinja", "chat_template.json",
    ];

    private static readonly Setting Public = new("public", SettingKind.Flag, "Upload",
        "Let a repository that is made now be seen by everybody; without it, by you.");
    private static readonly Setting Include = new("include", SettingKind.List, "Upload",
        "Send files of these patterns in place of the adapter or model with its card and tokenizer.") { Value = "PATTERN" };
    private static readonly Setting Message = new("message", SettingKind.Text, "Upload",
        "Title of the commit.") { Value = "TEXT", DefaultNote = "Upload with trainer", Aliases = ["commit-message"] };
    private static readonly Setting DryRun = new("dry-run", SettingKind.Flag, "Upload", "Tell what would be sent, and send nothing.");

    public static readonly CommandSpec Spec = new("push", "Send an adapter or a model folder to the Hugging Face hub.", Run)
    {
        Group = "Models",
        Description = "Makes the repository where it is not there (private, unless --public says otherwise) and sends adapter, card and tokenizer in one "
            + "commit. The token comes from HF_TOKEN or from the file that logging in leaves, goes to the hub alone and is never shown. HF_ENDPOINT names "
            + "another hub.",
        Positional = "FOLDER ORG/NAME",
        PositionalHelp = "A run, adapter or model folder, and the repository; ORG/NAME@BRANCH takes a branch.",
        MaxPositionals = 2,
        Settings = [Public, Include, Message, DryRun, CommonSettings.Json],
        Examples = [("trainer push runs/a me/harbour-lora", ""), ("trainer push runs/a me/harbour-lora --dry-run", "what would be sent")],
    };

    private static int Run(Invocation invocation)
    {
        if (invocation.Positionals.Count < 2) throw new UsageException("a folder and a repository are needed: trainer push runs/a ORG/NAME");
        var (folder, name, values) = (UserPath.Expand(invocation.Positionals[0]), invocation.Positionals[1], invocation.Values);
        if (HubModelId.TryParse(name) is not { } id || !id.Id.Contains('/')) throw new UsageException($"'{name}' is no name of a repository; write ORG/NAME");
        if (!Directory.Exists(folder)) throw new UsageException($"there is no folder '{folder}'");
        var (isPublic, title, dry, includes) = (values.Flag(Public) ?? false, values.Text(Message) ?? "Upload with trainer", values.Flag(DryRun)
            ?? false, values.List(Include));
        values.ThrowIfFaulty();
        var files = Chosen(folder, includes);
        if (RunFolders.IsAdapter(folder) && !invocation.Quiet) SayIfBaseIsElsewhere(invocation, folder);
        if (dry)
        {
            if (invocation.Json) Write(invocation, id, null, files);
            else foreach (var (path, file) in files) invocation.Terminal.Out.WriteLine($"{path} {Quantities.Bytes(new FileInfo(file).Length)}");
            return ExitCode.Done;
        }
        var bar = new ProgressLine(invocation.Terminal, invocation.Quiet);
        invocation.Stop.Leave = bar.Finish;
        invocation.Stop.Watch("stopping; nothing is committed");
        var uploader = new HubUploader(HubOptions.FromEnvironment(), note => bar.Show("waiting", 0, 0, note));
        var address = uploader.UploadAsync(id, files, !isPublic, title, (path, done, total) => bar.Show(path, done, total), invocation.Stop.Token).GetAwaiter()
            .GetResult();
        bar.Finish();
        if (invocation.Json) Write(invocation, id, address, files);
        else invocation.Terminal.Out.WriteLine(address);
        return ExitCode.Done;
    }

    private static List<(string Path, string File)> Chosen(string folder, IReadOnlyList<string> includes)
    {
        var isModel = File.Exists(Path.Combine(folder, "config.json"));
        if (includes.Count == 0 && !isModel && !RunFolders.IsAdapter(folder))
            throw new UsageException($"'{folder}' holds neither adapter_config.json nor config.json; name a run, adapter or model folder, or the files with "
                + "--include");
        var patterns = (includes.Count > 0 ? includes : Files).ToList();
        var files = Directory.EnumerateFiles(folder).Select(file => (Path: Path.GetFileName(file), File: file))
            .Where(each => FilePattern.IsChosen(each.Path, patterns)).OrderBy(each => each.Path, StringComparer.Ordinal).ToList();
        if (files.Count == 0) throw new UsageException($"no file of '{folder}' is of {string.Join(", ", patterns)}");
        if (includes.Count == 0 && !files.Exists(each => each.Path.EndsWith(".safetensors", StringComparison.Ordinal)))
            throw new UsageException($"'{folder}' holds no weights yet: {(isModel ? "model*.safetensors" : "adapter_model.safetensors")} is missing; push it "
                + "when the run has ended");
        return files;
    }

    /// <summary>An adapter that names its base by a path of this machine serves nobody else.</summary>
    private static void SayIfBaseIsElsewhere(Invocation invocation, string folder)
    {
        var named = PeftFolder.ReadSpec(folder).BaseModel;
        if (string.IsNullOrEmpty(named) || HubModelId.TryParse(named) is null || Directory.Exists(named))
            invocation.Terminal.Error.WriteLine($"note: the adapter names its base '{named}', which others do not have; put the base's ORG/NAME into "
                + "adapter_config.json and README.md");
    }

    private static void Write(Invocation invocation, HubModelId id, Uri? address, List<(string Path, string File)> files) =>
        invocation.Terminal.Out.WriteLine(JsonSerializer.Serialize(new { model = id.Id, revision = id.Revision, address,
        files = files.Select(each => new { path = each.Path, bytes = new FileInfo(each.File).Length }) }, Json.Indented));
}
