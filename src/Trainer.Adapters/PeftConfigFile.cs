using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Json;
using Trainer.Checkpoints.Safetensors;
using Trainer.Models.Lora;

namespace Trainer.Adapters;

/// <summary>adapter_config.json: read leniently, written with the old stable key set that every PEFT release accepts.</summary>
internal static class PeftConfigFile
{
    public const string FileName = "adapter_config.json";

    private const string EmbeddingName = "embed_tokens";

    public static (LoraSpec Spec, string? BaseModel) Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
            throw new AdapterException(ForeignAdapters.Of(folder) is { } other
                ? $"no {FileName} in '{folder}': {other}" : $"no {FileName} in '{folder}'; an adapter folder needs it beside adapter_model.safetensors");
        // Weights, tokenizer and template beside it are opened later, by whoever comes first.
        RegularFile.RequireAll(folder);
        try
        {
            using var document = PythonJson.Parse(SmallFile.Bytes(path));
            return (ReadSpec(document.RootElement, path), BaseModel(document.RootElement));
        }
        catch (AdapterOptionException fault)
        {
            throw new AdapterException($"adapter config '{path}': {fault.Message}", fault);
        }
        catch (Exception fault) when (fault is JsonException or IOException or UnauthorizedAccessException or InvalidOperationException or FormatException
            or KeyNotFoundException)
        {
            throw new AdapterException($"adapter config '{path}' cannot be read: {fault.Message.TrimEnd('.')}; write it again with save_pretrained", fault);
        }
    }

    public static byte[] Write(LoraSpec spec, IReadOnlyList<string> targetNames, string baseModel)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream,
            new JsonWriterOptions { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            Pairs(json, "alpha_pattern", spec.AlphaPattern, Number);
            json.WriteString("base_model_name_or_path", baseModel);
            json.WriteString("bias", spec.Bias switch { BiasMode.All => "all", BiasMode.LoraOnly => "lora_only", _ => "none" });
            // Newer keys are written only where they say something, so that older readers keep accepting the rest.
            if (spec.EnsureWeightTying) json.WriteBoolean("ensure_weight_tying", true);
            if (spec.Exclude is { } excluded) Modules(json, "exclude_modules", excluded, excluded.Names);
            json.WriteBoolean("fan_in_fan_out", false);
            json.WriteBoolean("inference_mode", true);
            if (spec.Init == AdapterInit.Gaussian) json.WriteString("init_lora_weights", "gaussian");
            else json.WriteBoolean("init_lora_weights", true);
            json.WriteNull("layers_pattern");
            List(json, "layers_to_transform", spec.LayersToTransform, value => json.WriteNumberValue(value));
            json.WritePropertyName("lora_alpha");
            json.WriteRawValue(Number(spec.Alpha));
            if (spec.LoraBias) json.WriteBoolean("lora_bias", true);
            json.WritePropertyName("lora_dropout");
            json.WriteRawValue(spec.Dropout == Math.Floor(spec.Dropout) ? $"{spec.Dropout:0.0}" : $"{spec.Dropout:R}");
            List(json, "modules_to_save", spec.ModulesToSave.Count == 0 ? null : spec.ModulesToSave, json.WriteStringValue);
            json.WriteString("peft_type", "LORA");
            json.WriteNumber("r", spec.Rank);
            Pairs(json, "rank_pattern", spec.RankPattern, value => value.ToString());
            json.WriteNull("revision");
            Modules(json, "target_modules", spec.Targets, targetNames);
            // A newer key: written only where it says something, so that older readers keep accepting the rest.
            if (spec.TargetParameters.Count > 0)
                List(json, "target_parameters", [.. spec.TargetParameters.Order(StringComparer.Ordinal)], json.WriteStringValue);
            json.WriteString("task_type", "CAUSAL_LM");
            TokenRows(json, spec.TokenRows);
            json.WriteBoolean("use_dora", spec.UseDora);
            json.WriteBoolean("use_rslora", spec.UseRslora);
            json.WriteEndObject();
        }
        return stream.ToArray();
    }

    private static void Modules(Utf8JsonWriter json, string key, TargetModules modules, IReadOnlyList<string> names)
    {
        if (modules.Pattern is { } pattern) json.WriteString(key, pattern);
        else List(json, key, names, json.WriteStringValue);
    }

    // Rows of the embedding alone are a list, as PEFT's users write them.
    private static void TokenRows(Utf8JsonWriter json, IReadOnlyList<KeyValuePair<string, IReadOnlyList<int>>> rows)
    {
        if (rows.Count == 0) return;
        if (rows is [{ Key: EmbeddingName, Value: var ids }])
        {
            List(json, "trainable_token_indices", ids, json.WriteNumberValue);
            return;
        }
        json.WriteStartObject("trainable_token_indices");
        foreach (var (name, values) in rows) List(json, name, values, json.WriteNumberValue);
        json.WriteEndObject();
    }

    private static string Number(double value) => value == Math.Floor(value) && Math.Abs(value) < 1e15 ? $"{value:0}" : $"{value:R}";

    private static void Pairs<T>(Utf8JsonWriter json, string key, IReadOnlyList<KeyValuePair<string, T>> pairs, Func<T, string> number)
    {
        json.WriteStartObject(key);
        foreach (var (name, value) in pairs)
        {
            json.WritePropertyName(name);
            json.WriteRawValue(number(value));
        }
        json.WriteEndObject();
    }

    private static void List<T>(Utf8JsonWriter json, string key, IReadOnlyList<T>? values, Action<T> write)
    {
        if (values is null)
        {
            json.WriteNull(key);
            return;
        }
        json.WriteStartArray(key);
        foreach (var value in values) write(value);
        json.WriteEndArray();
    }

    private static LoraSpec ReadSpec(JsonElement root, string path)
    {
        if (Text(root, "peft_type") is { } type && type != "LORA")
            throw new AdapterException($"adapter config '{path}': peft_type '{type}' is not implemented; only LORA is");
        PeftConfigKeys.Check(root, path);
        if (root.TryGetProperty("layers_pattern", out var pattern) && pattern.GetRawText() is not ("null" or "[]" or "\"\"")
            && !Texts(pattern).Contains("layers"))
            throw new AdapterException($"adapter config '{path}': layers_pattern {pattern.GetRawText()} names no layers of the model, whose paths have "
                + "'layers'; write null");
        return new LoraSpec
        {
            Rank = Given(root, "r", out var rank) ? rank.GetInt32() : 8,
            Alpha = Given(root, "lora_alpha", out var alpha) ? alpha.GetDouble() : 8,
            Dropout = Given(root, "lora_dropout", out var dropout) ? dropout.GetDouble() : 0,
            Targets = Targets(root, path),
            TargetParameters = Given(root, "target_parameters", out var parameters) ? [.. parameters.EnumerateArray().Select(item => item.GetString()!)] : [],
            Exclude = Given(root, "exclude_modules", out var excluded) && excluded.GetRawText() is not ("[]" or "\"\"") ? OfNames(excluded) : null,
            EnsureWeightTying = Flag(root, "ensure_weight_tying"),
            IsBFixed = Init(root) == "mica",
            Init = Init(root) switch { "pissa" => AdapterInit.Pissa, "olora" => AdapterInit.Olora, _ => AdapterInit.Kaiming },
            TokenRows = !Given(root, "trainable_token_indices", out var tokens) || tokens.GetRawText() is "[]" or "{}" ? []
                : tokens.ValueKind == JsonValueKind.Array ? [KeyValuePair.Create(EmbeddingName, Integers(tokens))]
                : [.. tokens.EnumerateObject().Select(pair => KeyValuePair.Create(pair.Name, Integers(pair.Value)))],
            LayersToTransform = !Given(root, "layers_to_transform", out var layers) || layers.GetRawText() == "[]" ? null
                : layers.ValueKind == JsonValueKind.Array ? [.. layers.EnumerateArray().Select(item => item.GetInt32())] : [layers.GetInt32()],
            UseRslora = Flag(root, "use_rslora"),
            UseDora = Flag(root, "use_dora"),
            LoraBias = Flag(root, "lora_bias"),
            Bias = Text(root, "bias") switch
            {
                null or "none" => BiasMode.None,
                "all" => BiasMode.All,
                "lora_only" => BiasMode.LoraOnly,
                var other => throw new AdapterException($"adapter config '{path}': bias '{other}' is unknown; it is none, all or lora_only"),
            },
            RankPattern = Patterns(root, "rank_pattern", value => value.GetInt32()),
            AlphaPattern = Patterns(root, "alpha_pattern", value => value.GetDouble()),
            ModulesToSave = Given(root, "modules_to_save", out var saved) ? [.. saved.EnumerateArray().Select(item => item.GetString()!)] : [],
        };
    }

    // A hub model of a certain revision is another model than the newest.
    private static string? BaseModel(JsonElement root) => Text(root, "base_model_name_or_path") is { Length: > 0 } name
        ? Text(root, "revision") is { Length: > 0 } revision && revision != "main" && !name.Contains('@', StringComparison.Ordinal) && !Directory.Exists(name)
        ? $"{name}@{revision}" : name
        : null;

    private static IReadOnlyList<KeyValuePair<string, T>> Patterns<T>(JsonElement root, string key, Func<JsonElement, T> value)
    {
        if (!Given(root, key, out var pairs)) return [];
        foreach (var pair in pairs.EnumerateObject()) _ = PathPattern.OfEnd(pair.Name, key);
        return [.. pairs.EnumerateObject().Select(pair => KeyValuePair.Create(pair.Name, value(pair.Value)))];
    }

    private static IReadOnlyList<int> Integers(JsonElement value) => [.. value.EnumerateArray().Select(item => item.GetInt32())];

    private static IEnumerable<string> Texts(JsonElement value)
        => value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().Select(item => item.GetString()!) : [value.GetString()!];

    private static TargetModules Targets(JsonElement root, string path)
    {
        if (!Given(root, "target_modules", out var targets) && Given(root, "target_parameters", out _)) return TargetModules.OfNames([]);
        if (!Given(root, "target_modules", out targets))
            throw new AdapterException($"adapter config '{path}' has no target_modules; write it again with save_pretrained");
        return targets.ValueKind == JsonValueKind.String && targets.GetString() == "all-linear" ? TargetModules.AllLinear : OfNames(targets);
    }

    private static TargetModules OfNames(JsonElement value) =>
        value.ValueKind == JsonValueKind.Array ? TargetModules.OfNames([.. value.EnumerateArray().Select(item => item.GetString()!)])
        : TargetModules.OfPattern(value.GetString()!);

    private static bool Given(JsonElement root, string key, out JsonElement value)
        => root.TryGetProperty(key, out value) && value.ValueKind != JsonValueKind.Null;

    private static string? Text(JsonElement root, string key) => Given(root, key, out var value) ? value.GetString() : null;

    private static string? Init(JsonElement root)
        => Given(root, "init_lora_weights", out var init) && init.ValueKind == JsonValueKind.String ? init.GetString()!.ToLowerInvariant() : null;

    private static bool Flag(JsonElement root, string key) => Given(root, key, out var value) && value.GetBoolean();
}
