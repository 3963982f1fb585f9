using System.Text.Json;

namespace Trainer.Hub;

/// <summary>Turns what a user typed after --model into a folder on this machine. It never fetches anything.</summary>
public sealed class ModelSource(HubOptions options)
{
    private readonly HubCache _cache = new(options.CacheFolder);

    /// <summary>The folder of a model: a folder as it is, a preset or hub id through the cache.</summary>
    /// <param name="model">A folder, ORG/NAME, ORG/NAME@REVISION or a preset's name.</param>
    /// <param name="needsWeights">Whether every weights file must be there; false where tokenizer files are enough.</param>
    /// <exception cref="NotAvailableException">It is not here; the sentence says what to type.</exception>
    public string Resolve(string model, bool needsWeights = true)
    {
        ArgumentException.ThrowIfNullOrEmpty(model);
        if (Directory.Exists(model)) return Path.GetFullPath(model);
        if (File.Exists(model))
            throw new NotAvailableException($"--model '{model}' is a file; pass the folder that holds config.json and the weights");
        if (HubId(model) is not HubModelId id)
        {
            throw new NotAvailableException($"--model '{model}': there is no such folder, and it is neither a hub id (ORG/NAME) nor a preset "
                + $"({PresetNames()}); check the path");
        }
        var snapshot = _cache.Snapshot(id);
        if (snapshot is null) throw new NotAvailableException(NotCached(model, id));
        if (needsWeights && Missing(snapshot) is string missing)
        {
            throw new NotAvailableException($"model '{id}' is only partly in the cache '{options.CacheFolder}': '{missing}' is missing; fetch the rest with: "
                + $"trainer download {id}");
        }
        return snapshot;
    }

    /// <summary>The hub id that a text stands for, presets included; null for a path.</summary>
    public static HubModelId? HubId(string model)
    {
        ArgumentNullException.ThrowIfNull(model);
        var at = model.IndexOf('@', StringComparison.Ordinal);
        var preset = ModelPresets.Find(at < 0 ? model : model[..at]);
        return HubModelId.TryParse(preset is null ? model : preset.HubId + (at < 0 ? "" : model[at..]));
    }

    private string NotCached(string typed, HubModelId id)
    {
        var isPreset = ModelPresets.Find(typed) is not null;
        // A bare word is more likely a mistyped preset or folder than one of the few hub models without an organisation.
        var near = !id.Id.Contains('/', StringComparison.Ordinal) ? $" (if it was meant as a preset: {PresetNames()})" : Alike(id);
        var what = isPreset ? $"model '{typed}' ({id})" : $"model '{id}'";
        var toDo = options.IsOffline ? $"unset HF_HUB_OFFLINE and type: trainer download {id}" : $"type: trainer download {id}";
        return $"{what} is neither a folder here nor in the Hugging Face cache '{options.CacheFolder}'{near}; {toDo}";
    }

    private string Alike(HubModelId id)
    {
        var name = id.Id[(id.Id.IndexOf('/', StringComparison.Ordinal) + 1)..];
        string[] alike =
            [.. _cache.Models().Where(one => string.Equals(one[(one.IndexOf('/', StringComparison.Ordinal) + 1)..], name, StringComparison.OrdinalIgnoreCase))
            .Take(3)];
        return alike.Length == 0 ? "" : alike[0] == id.Id
            ? $" in revision '{id.Revision}'" : $" (the cache has {string.Join(", ", alike.Select(static one => $"'{one}'"))})";
    }

    private static string PresetNames() => string.Join(", ", ModelPresets.All.Select(static preset => preset.Name));

    // File.Exists is true for a link whose target is gone: a blob that was never finished or was cleaned away.
    private static bool IsThere(string path)
        => new FileInfo(path).LinkTarget is null ? File.Exists(path) : File.ResolveLinkTarget(path, returnFinalTarget: true)?.Exists == true;

    private static string? Missing(string snapshot)
    {
        bool Has(string name) => IsThere(Path.Combine(snapshot, name));
        const string Config = "config.json", Single = "model.safetensors", Index = "model.safetensors.index.json";
        if (!Has(Config)) return Config;
        if (Has(Single)) return null;
        if (!Has(Index))
        {
            // Other formats are for the reader of weights to judge: it names the way out for each.
            return Directory.EnumerateFiles(snapshot)
                .Any(static path => IsThere(path) && Path.GetExtension(path) is ".safetensors" or ".bin" or ".gguf" or ".pth") ? null : Single;
        }
        try
        {
            using var file = File.OpenRead(Path.Combine(snapshot, Index));
            if (file.Length > 64 << 20) return null; // As a broken one.
            using var index = JsonDocument.Parse(file);
            return index.RootElement.GetProperty("weight_map").EnumerateObject().Select(static pair => pair.Value.GetString() ?? "")
                .Distinct(StringComparer.Ordinal)
                .Order(StringComparer.Ordinal).FirstOrDefault(shard => shard.Length > 0 && !Has(shard));
        }
        catch (Exception fault) when (fault is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return null; // A broken index is named by the reader of weights.
        }
    }
}
