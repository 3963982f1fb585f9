using System.Text.Json;
using System.Text.RegularExpressions;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Json;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints.Inspect;

/// <summary>What adapter_config.json says, read leniently: for judging and showing an adapter, not for loading it.</summary>
public sealed record AdapterConfig
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "adapter_config.json";

    /// <summary>LORA, or another method.</summary>
    public string Method { get; private init; } = "LORA";

    /// <summary>The base as it was named in training, or null.</summary>
    public string? BaseModel { get; private init; }

    /// <summary>Rank; 0 where it is not given.</summary>
    public int Rank { get; private init; }

    /// <summary>Scaling numerator; 0 where it is not given.</summary>
    public double Alpha { get; private init; }

    /// <summary>Names or the pattern of the adapted modules.</summary>
    public IReadOnlyList<string> Targets { get; private init; } = [];

    /// <summary>Layers that alone are adapted; empty for all.</summary>
    public IReadOnlyList<int> Layers { get; private init; } = [];

    /// <summary>Modules trained whole.</summary>
    public IReadOnlyList<string> ModulesToSave { get; private init; } = [];

    /// <summary>none, all or lora_only.</summary>
    public string Bias { get; private init; } = "none";

    /// <summary>Scaled by alpha / sqrt(rank).</summary>
    public bool UseRslora { get; private init; }

    /// <summary>Weight-decomposed.</summary>
    public bool UseDora { get; private init; }

    /// <summary>A bias on B.</summary>
    public bool LoraBias { get; private init; }

    /// <summary>pissa or olora, where A and B fit a base that had their beginning taken out; else null.</summary>
    public string? BaseChange { get; private init; }

    /// <summary>Alphas by module pattern.</summary>
    public IReadOnlyList<KeyValuePair<string, double>> AlphaPattern { get; private init; } = [];

    /// <summary>Ranks by module pattern.</summary>
    public IReadOnlyList<KeyValuePair<string, int>> RankPattern { get; private init; } = [];

    /// <summary>Reads the file of an adapter folder.</summary>
    /// <exception cref="BadFileException">Missing, not JSON, or a value of the wrong kind.</exception>
    public static AdapterConfig Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        try
        {
            using var document = PythonJson.Parse(SmallFile.Bytes(path));
            var root = document.RootElement;
            JsonElement? Given(string key) => root.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
            IReadOnlyList<string> Texts(string key) => Given(key) is not JsonElement value ? []
                : value.ValueKind == JsonValueKind.Array
                ? [.. value.EnumerateArray().Select(static item => item.GetString() ?? "").Order(StringComparer.Ordinal)] : [value.GetString() ?? ""];
            return new AdapterConfig
            {
                Method = Given("peft_type")?.GetString() ?? "LORA",
                BaseModel = Given("base_model_name_or_path")?.GetString(),
                Rank = Given("r")?.GetInt32() ?? 0,
                Alpha = Given("lora_alpha")?.GetDouble() ?? 0,
                Targets = Texts("target_modules"),
                ModulesToSave = Texts("modules_to_save"),
                Layers = Given("layers_to_transform") is not JsonElement layers
                    ? [] : layers.ValueKind == JsonValueKind.Array ? [.. layers.EnumerateArray().Select(static item => item.GetInt32())] : [layers.GetInt32()],
                Bias = Given("bias")?.GetString() ?? "none",
                UseRslora = Given("use_rslora")?.GetBoolean() ?? false,
                UseDora = Given("use_dora")?.GetBoolean() ?? false,
                LoraBias = Given("lora_bias")?.GetBoolean() ?? false,
                BaseChange = Given("init_lora_weights") is { ValueKind: JsonValueKind.String } init
                    && init.GetString()!.ToLowerInvariant() is "pissa" or "olora" ? init.GetString() : null,
                AlphaPattern = Given("alpha_pattern") is JsonElement alphas
                    ? [.. alphas.EnumerateObject().Select(static pair => KeyValuePair.Create(pair.Name, pair.Value.GetDouble()))] : [],
                RankPattern = Given("rank_pattern") is JsonElement ranks
                    ? [.. ranks.EnumerateObject().Select(static pair => KeyValuePair.Create(pair.Name, pair.Value.GetInt32()))] : [],
            };
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException or FormatException or IOException or UnauthorizedAccessException)
        {
            throw new BadFileException($"cannot read '{path}': {fault.Message.Split('\n')[0].TrimEnd('.')}; pass a folder that PEFT or this program wrote",
                fault);
        }
    }

    /// <summary>Alpha of one module: the first pattern that fits the end of its path, else <see cref="Alpha"/>.</summary>
    public double AlphaOf(string module)
    {
        foreach ((var pattern, var alpha) in AlphaPattern)
        {
            if (Regex.IsMatch(module, $"^(?:.*\\.)?(?:{pattern})$", RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1)))
                return alpha;
        }
        return Alpha;
    }
}
