using System.Text.Json;
using Trainer.Adapters;
using Trainer.Adapters.Export;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Runs;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Engine.Gguf;
using Trainer.Models.Families;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer export</c>: an adapter (or a model) as another program's file.</summary>
internal static class ExportCommand
{
    private static readonly Setting Format = new("format", SettingKind.Choice, "Output",
        "gguf (llama.cpp) or peft (adapter_config.json and weights alone).") { Value = "FORMAT", Choices = ["gguf", "peft"], Default = "gguf" };
    private static readonly Setting Output = new("output", SettingKind.Text, "Output",
        "File (gguf) or folder (peft) to write.") { Short = "-o", Value = "PATH" };
    private static readonly Setting Type = new("type", SettingKind.Choice, "Output",
        "Type of the matrices of a whole model.") { Value = "TYPE", Choices = ["f32", "f16", "bf16", "q8-0"], Default = "f16" };

    public static readonly CommandSpec Spec = new("export", "An adapter or a model as a GGUF file for llama.cpp, or an adapter as a bare PEFT folder.", Run)
    {
        Group = "Models",
        Description = "With --adapter the adapter is written, without it the model itself.",
        Settings = [ModelSettings.Model with { DefaultNote = "the base the adapter names" }, ReadingSettings.Adapter, Format, Type, Output,
            CommonSettings.Json],
        Examples = [("trainer export --adapter runs/a --format gguf --output a.gguf", ""),
            ("trainer export --model models/merged --format gguf --type q8_0 --output merged.gguf", "")],
    };

    private static int Run(Invocation invocation)
    {
        var values = invocation.Values;
        var (format, type, output) = (values.Word(Format) ?? "gguf", values.Word(Type), values.Text(Output));
        if (output is null) values.Fault("nowhere to write; add --output PATH");
        var ofAdapter = values.Has(ReadingSettings.Adapter);
        if (!ofAdapter && format == "peft") values.Fault("--format peft writes an adapter; add --adapter DIR");
        if (ofAdapter && type is not null) values.Fault($"{values.Origin(Type)} is for whole models; an adapter's tensors are written as they are");
        if (!ofAdapter && !values.Has(ModelSettings.Model)) values.Fault("nothing to export; add --adapter DIR or --model MODEL");
        values.ThrowIfFaulty();
        var (tensors, notes) = ofAdapter ? Adapter(AdapterSource.Read(values, needsWeights: false), format, output!)
            : Model(invocation, output!, type ?? "f16");
        foreach (var note in notes) invocation.Terminal.Error.WriteLine("note: " + note);
        invocation.Terminal.Out.WriteLine(invocation.Json ? JsonSerializer.Serialize(new { output, format, tensors, notes }, Json.Indented) : output);
        return ExitCode.Done;
    }

    private static (int Tensors, IReadOnlyList<string> Notes) Adapter(AdapterSource source, string format, string output)
    {
        if (format == "gguf")
            return (GgufAdapterExporter.Export(source.ModelFolder, source.Folder, output), GgufNotes.Window(ConfigLoader.Load(source.ModelFolder)) is { } note
                ? [note] : []);
        using var plain = PlainAdapterFolder.Of(source.ModelFolder, source.Folder);
        using var weights = PeftFolder.Open(plain.Folder);
        if (File.Exists(output) || (Directory.Exists(output) && Directory.EnumerateFileSystemEntries(output).Any()))
            throw new CannotWriteException($"cannot write '{output}': it exists already; delete it or choose another --output");
        AtomicFolder.Write(output, folder =>
        {
            foreach (var name in new[] { PeftFolder.ConfigFile, PeftFolder.WeightsFile })
                File.Copy(Path.Combine(plain.Folder, name), Path.Combine(folder, name));
        }, folder =>
        {
            if (FileDigest.Sha256(Path.Combine(folder, PeftFolder.WeightsFile)) != FileDigest.Sha256(weights.Path))
                throw new CannotWriteException($"cannot write '{output}': what was read back differs from what was written; check the disk");
        });
        return (weights.Entries.Count, plain.IsConverted ? ["the raw adapter was converted: twice its rank, for the original base"] : []);
    }

    private static (int Tensors, IReadOnlyList<string> Notes) Model(Invocation invocation, string output, string type)
    {
        var bar = new ProgressLine(invocation.Terminal, invocation.Quiet);
        var report = GgufModelExporter.Export(ModelReference.Read(invocation.Values).ThrowIfAbsent(), output, new GgufModelOptions
        {
            Type = Enum.Parse<GgufTensorType>(type.Replace("-", "_", StringComparison.Ordinal), ignoreCase: true),
            Progress = (done, total) => bar.Show("exporting", done, total),
        });
        bar.Finish();
        return (report.Tensors, report.Notes);
    }
}
