using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Adapters;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Inspect;
using Trainer.Checkpoints.Runs;
using Trainer.Checkpoints.Safetensors;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Cli.Reports;
using Trainer.Data;
using Trainer.Models.Families;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer inspect</c>: what a model, adapter, checkpoint, run or data file is.</summary>
internal static class InspectCommand
{
    private static readonly Setting Tensors = new("tensors", SettingKind.Flag, "Output", "List every tensor with shape and type.");

    public static readonly CommandSpec Spec = new("inspect", "Tell what a model, adapter, checkpoint, run or data file is.", Run)
    {
        Group = "Models",
        Positional = "PATH",
        PositionalHelp = "A folder, a .safetensors or data file, a hub id in the cache, or tiny.",
        MaxPositionals = 1,
        Settings = [Tensors, CommonSettings.Json],
        Examples = [("trainer inspect tiny", ""), ("trainer inspect runs/a/checkpoint-100", "")],
    };

    private static int Run(Invocation invocation)
    {
        if (invocation.Positionals.Count == 0) throw new UsageException("nothing to inspect; name a folder, a file, a hub id or tiny");
        var path = invocation.Positionals[0];
        if (path.Length == 0) throw new UsageException("the path is empty; name a folder, a file, a hub id or tiny");
        RegularFile.Require(path);
        RegularFile.RequireAll(path);
        var facts = File.Exists(path) ? OfFile(path) : OfFolder(Directory.Exists(path) ? path : Found(path));
        if (invocation.Values.Flag(Tensors) is true && TensorFiles(path) is { Count: > 0 } files) facts["tensors"] = ListTensors(files);
        if (invocation.Json)
        {
            invocation.Terminal.Out.WriteLine(facts.ToJsonString(Json.Indented));
            return ExitCode.Done;
        }
        foreach (var (name, value) in facts)
        {
            if (value is JsonArray { Count: > 0 } rows && rows[0] is JsonObject)
                foreach (var row in rows)
                    invocation.Terminal.Out.WriteLine("  " + string.Join("  ",
                        row!.AsObject().Select(pair => pair.Value is JsonArray ? pair.Value.ToJsonString() : pair.Value?.ToString() ?? "")));
            else invocation.Terminal.Out.WriteLine($"{name.Replace('_', ' '),-24} {Show(name, value)}");
        }
        return ExitCode.Done;
    }

    // The word may be a mistyped path as well as a model's name, so the message speaks of both.
    private static string Found(string name) => ModelReference.Find(name, needsWeights: false) is { Directory: { } folder, Absence: null } ? folder
        : throw new CommandFailedException(ExitCode.Missing,
            $"'{name}': there is no such file or folder, and no model of that name in the Hugging Face cache; check the path");

    private static string Show(string name, JsonNode? value) => value switch
    {
        JsonArray list => string.Join(", ", list.Select(item => item?.ToString())),
        JsonObject map => string.Join(", ", map.Select(pair => $"{pair.Key}={pair.Value}")),
        JsonValue number when number.TryGetValue<long>(out var count) => name.EndsWith("bytes", StringComparison.Ordinal)
            ? Quantities.Bytes(count) : Quantities.Count(count),
        _ => value?.ToString() ?? "",
    };

    private static JsonObject OfFolder(string folder)
    {
        bool Has(string name) => File.Exists(Path.Combine(folder, name));
        if (Has(CheckpointFolder.ManifestFile) && Has("trainer_state.json")) return OfCheckpoint(folder);
        if (Has("run.json") || Has("metrics.jsonl")) return OfRun(folder);
        if (Has(PeftFolder.ConfigFile)) return OfAdapter(folder);
        if (Has("config.json")) return OfModel(folder);
        throw new CommandFailedException(ExitCode.BadData,
            $"'{folder}' is neither a model (config.json), an adapter (adapter_config.json), a checkpoint (manifest.json) nor a run (metrics.jsonl)");
    }

    private static JsonObject OfModel(string folder)
    {
        var config = ConfigLoader.Load(folder);
        var facts = new JsonObject
        {
            ["kind"] = "model",
            ["folder"] = folder,
            ["model_type"] = config.ModelType,
            ["layers"] = config.LayerCount,
            ["hidden_size"] = config.HiddenSize,
            ["intermediate_size"] = config.IntermediateSize,
            ["heads"] = config.Heads,
            ["kv_heads"] = config.KvHeads,
            ["head_size"] = config.HeadSize,
            ["vocabulary_size"] = config.VocabularySize,
            ["max_positions"] = config.MaxPositions,
            ["tied_embeddings"] = config.TiedEmbeddings,
            ["stored_type"] = config.StoredType,
        };
        if (TensorFiles(folder).Count == 0)
        {
            if (config.StoredQuantization is { } claimed)
                facts["quantization"] = claimed.DoubleQuantized ? $"{claimed.Name}, scales quantized too" : claimed.Name;
            facts["weights"] = "none here";
            return facts;
        }
        using var weights = ShardedModel.Open(folder);
        var stored = StoredForm.Of(weights);
        facts["stored_type"] = stored.Dtype;
        if (stored.Quantization is not null) facts["quantization"] = stored.Quantization;
        else if (config.StoredQuantization is { } named && stored.HasCodes) facts["quantization"] = named.Name;
        else if (config.StoredQuantization is not null) facts["note"] = "config.json calls the weights quantized, the files hold them plain";
        facts["parameters"] = FolderInspector.ParameterCount(weights.Files);
        facts["bytes"] = weights.TotalBytes;
        facts["files"] = weights.Files.Count;
        facts["types"] = Types(weights.Tensors.Values);
        return facts;
    }

    private static JsonObject OfAdapter(string folder)
    {
        var (spec, baseModel) = PeftFolder.ReadSpec(folder);
        var facts = new JsonObject
        {
            ["kind"] = "adapter",
            ["folder"] = folder,
            ["base_model"] = baseModel,
            ["rank"] = spec.Rank,
            ["alpha"] = spec.Alpha,
            ["dropout"] = spec.Dropout,
            ["target_modules"] = spec.Targets.IsAllLinear
                ? "all-linear" : spec.Targets.Pattern ?? (JsonNode)new JsonArray([.. spec.Targets.Names.Select(name => JsonValue.Create(name))]),
            ["use_rslora"] = spec.UseRslora,
            ["use_dora"] = spec.UseDora,
        };
        if (spec.ModulesToSave.Count > 0) facts["modules_to_save"] = new JsonArray([.. spec.ModulesToSave.Select(name => JsonValue.Create(name))]);
        if (spec.Exclude is { } excluded) facts["exclude_modules"] = excluded.Pattern ?? string.Join(", ", excluded.Names);
        foreach (var (table, ids) in spec.TokenRows) facts["trained_rows_of_" + table] = ids.Count;
        var weights = Path.Combine(folder, PeftFolder.WeightsFile);
        if (!File.Exists(weights)) return facts;
        using var file = SafetensorsFile.Open(weights);
        facts["parameters"] = file.Entries.Where(entry => !ReaderRules.IsFrozenCopy(entry.Name)).Sum(entry => entry.ElementCount);
        facts["tensors_in_file"] = file.Entries.Count;
        facts["types"] = Types(file.Entries);
        return facts;
    }

    private static JsonObject OfCheckpoint(string folder)
    {
        var checkpoint = CheckpointFolder.Verify(folder);
        var state = TrainerState.Read(Path.Combine(folder, TrainerState.FileName));
        return new JsonObject
        {
            ["kind"] = "checkpoint",
            ["folder"] = folder,
            ["step"] = checkpoint.Step,
            ["max_steps"] = state.MaxSteps,
            ["epoch"] = state.Epoch,
            ["run"] = checkpoint.RunId,
            ["verified_files"] = new JsonArray([.. checkpoint.Files.Select(file => JsonValue.Create(file))]),
        };
    }

    private static JsonObject OfRun(string folder)
    {
        var run = Reports.RunReader.Read(folder);
        var status = RunStatus.Of(folder);
        var facts = new JsonObject { ["kind"] = "run", ["folder"] = folder, ["state"] = status.Text };
        if (status.Command is { } command) facts["command"] = command;
        foreach (var fact in run.Facts) facts[fact[0].Replace(", ", "_", StringComparison.Ordinal).Replace(' ', '_').Replace('/', '_')] = fact[1];
        facts["checkpoints"] = new JsonArray([.. CheckpointFolder.List(folder).Select(checkpoint => JsonValue.Create(Path.GetFileName(checkpoint.Path)))]);
        foreach (var setting in run.Settings.Where(setting => setting[0] is "model" or "data" or "lora_rank" or "learning_rate"))
            facts[setting[0]] = setting[1];
        return facts;
    }

    private static JsonObject OfGguf(string path)
    {
        var found = FolderInspector.Inspect(path);
        var (gguf, tensors) = (found.Gguf!, found.Tensors!);
        return new JsonObject
        {
            ["kind"] = found.Kind,
            ["type"] = gguf.Type,
            ["architecture"] = gguf.Architecture,
            ["name"] = gguf.Name,
            ["alpha"] = gguf.Alpha,
            ["bytes"] = new FileInfo(path).Length,
            ["parameters"] = tensors.Parameters,
            ["tensor_count"] = tensors.Count,
            ["types"] = new JsonObject(tensors.ByType.Select(one => KeyValuePair.Create(one.Type.ToLowerInvariant(), (JsonNode?)JsonValue.Create(one.Count)))),
            ["metadata_keys"] = gguf.Metadata,
        };
    }

    private static JsonObject OfFile(string path)
    {
        if (path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase))
        {
            using var file = SafetensorsFile.Open(path);
            return new JsonObject
            {
                ["kind"] = "safetensors",
                ["bytes"] = file.Length,
                ["parameters"] = file.Entries.Sum(entry => entry.ElementCount),
                ["types"] = Types(file.Entries),
                ["metadata"] = new JsonObject(file.Metadata.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)JsonValue.Create(pair.Value)))),
                ["tensors"] = ListTensors([path]),
            };
        }
        if (path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)) return OfGguf(path);
        if (!DataFile.IsOne(path))
            throw new CommandFailedException(ExitCode.BadData,
                $"'{path}' is no file that is known by its name: models and adapters end in .safetensors or .gguf, data "
                + $"in {string.Join(", ", DataFile.Extensions)}; rename it, or name the folder it belongs to");
        var data = DataFile.Read(path);
        var facts = new JsonObject
        {
            ["kind"] = "data",
            ["format"] = data.Format,
            ["bytes"] = new FileInfo(path).Length,
            ["rows"] = data.Rows,
        };
        if (data.BadRows > 0) facts["rows_that_cannot_be_read"] = data.BadRows;
        facts["columns"] = new JsonArray([.. data.Columns.Select(
            column => (JsonNode)(column.Rows is { } rows
                ? new JsonObject { ["name"] = column.Name, ["type"] = column.Type, ["rows"] = rows }
                : new JsonObject { ["name"] = column.Name, ["type"] = column.Type }))]);
        facts["first_row"] = data.First.Length > 200 ? data.First[..200] + "..." : data.First;
        return facts;
    }

    private static List<string> TensorFiles(string path)
    {
        if (File.Exists(path)) return path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase) ? [path] : [];
        var folder = Directory.Exists(path) ? path : ModelReference.Find(path, needsWeights: false).Directory;
        return folder is null ? [] : [.. Directory.EnumerateFiles(folder, "*.safetensors").Order(StringComparer.Ordinal)];
    }

    private static JsonArray ListTensors(IEnumerable<string> files)
    {
        var list = new JsonArray();
        foreach (var path in files)
        {
            using var file = SafetensorsFile.Open(path);
            foreach (var entry in file.Entries)
                list.Add(new JsonObject { ["name"] = entry.Name, ["dtype"] = entry.Dtype.Name(),
                    ["shape"] = new JsonArray([.. entry.Shape.Select(size => JsonValue.Create(size))]) });
        }
        return list;
    }

    private static string Types(IEnumerable<SafetensorsEntry> entries) =>
        string.Join(", ", entries.GroupBy(entry => entry.Dtype.Name()).OrderByDescending(group => group.Sum(entry => entry.ByteCount))
        .Select(group => string.Create(CultureInfo.InvariantCulture, $"{group.Key} x {group.Count()}")));
}
