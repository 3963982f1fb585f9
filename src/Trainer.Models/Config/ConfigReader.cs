using System.Text.Json;

namespace Trainer.Models.Config;

/// <summary>Typed access to one object of config.json; every fault names file and key.</summary>
internal sealed class ConfigReader(JsonElement element, string path, string prefix = "")
{
    private readonly HashSet<string> _read = new(StringComparer.Ordinal);

    public string Path => path;

    public IEnumerable<string> Keys => element.EnumerateObject().Select(property => property.Name);

    /// <summary>Whether the value of a key was asked for.</summary>
    public bool WasRead(string key) => _read.Contains(key);

    /// <summary>Whether a key holds a string.</summary>
    public bool IsText(string key) => Has(key) && element.GetProperty(key).ValueKind == JsonValueKind.String;

    public bool Has(string key) => element.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null;

    public ConfigReader? Object(string key)
    {
        _read.Add(key);
        if (!Has(key)) return null;
        var value = element.GetProperty(key);
        return value.ValueKind == JsonValueKind.Object
            ? new ConfigReader(value, path, $"{prefix}{key}.")
            : throw Fault(key, "is not an object");
    }

    public int Int(string key, int? otherwise = null)
    {
        _read.Add(key);
        if (!Has(key)) return otherwise ?? throw Missing(key);
        var value = element.GetProperty(key);
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number == Math.Floor(number) && Math.Abs(number) < int.MaxValue
            ? (int)number
            : throw Fault(key, $"is {value.GetRawText()}, not a whole number");
    }

    public int? IntOrNull(string key) => Has(key) ? Int(key) : null;

    public int Positive(string key, int? otherwise = null)
    {
        var value = Int(key, otherwise);
        return value > 0 ? value : throw Fault(key, $"is {value}, it must be above 0");
    }

    public int? PositiveOrNull(string key) => Has(key) ? Positive(key) : null;

    public double Number(string key, double? otherwise = null)
    {
        _read.Add(key);
        if (!Has(key)) return otherwise ?? throw Missing(key);
        var value = element.GetProperty(key);
        return value.ValueKind == JsonValueKind.Number && double.IsFinite(value.GetDouble())
            ? value.GetDouble() : throw Fault(key, $"is {value.GetRawText()}, not a number");
    }

    public double? NumberOrNull(string key) => Has(key) ? Number(key) : null;

    /// <summary>A number above 0: what is divided by, raised to a power or taken the root of.</summary>
    public double PositiveNumber(string key, double? otherwise = null)
    {
        var value = Number(key, otherwise);
        return value > 0 ? value : throw Fault(key, $"is {element.GetProperty(key).GetRawText()}, it must be above 0");
    }

    public double NotNegative(string key, double otherwise)
    {
        var value = Number(key, otherwise);
        return value >= 0 ? value : throw Fault(key, $"is {element.GetProperty(key).GetRawText()}, it must not be below 0");
    }

    public double? PositiveNumberOrNull(string key) => Has(key) ? PositiveNumber(key) : null;

    public bool Bool(string key, bool otherwise = false)
    {
        _read.Add(key);
        if (!Has(key)) return otherwise;
        var value = element.GetProperty(key);
        return value.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? value.GetBoolean() : throw Fault(key, $"is {value.GetRawText()}, not true or false");
    }

    public string? Text(string key)
    {
        _read.Add(key);
        if (!Has(key)) return null;
        var value = element.GetProperty(key);
        return value.ValueKind == JsonValueKind.String ? value.GetString() : throw Fault(key, $"is {value.GetRawText()}, not a string");
    }

    public IReadOnlyList<string>? Texts(string key) => List(key, JsonValueKind.String, "strings")?.Select(item => item.GetString()!).ToList();

    public IReadOnlyList<double>? Numbers(string key) => List(key, JsonValueKind.Number, "numbers")?.Select(item => item.GetDouble()).ToList();

    /// <summary>Numbers that may be infinite, as transformers writes those: <c>{"__float__": "Infinity"}</c>.</summary>
    public IReadOnlyList<double> Limits(string key)
    {
        _read.Add(key);
        var value = element.GetProperty(key);
        if (value.ValueKind != JsonValueKind.Array) throw Fault(key, "is not a list of numbers");
        return [.. value.EnumerateArray().Select(item => item.ValueKind switch
        {
            JsonValueKind.Number => item.GetDouble(),
            JsonValueKind.Object when item.TryGetProperty("__float__", out var text) && text.ValueKind == JsonValueKind.String
                && text.GetString() == "Infinity" => double.PositiveInfinity,
            _ => throw Fault(key, $"holds {item.GetRawText()}, not a number"),
        })];
    }

    /// <summary>An int or a list of ints, as token ids are written.</summary>
    public IReadOnlyList<int> Ids(string key)
    {
        if (!Has(key)) return [];
        var value = element.GetProperty(key);
        if (value.ValueKind != JsonValueKind.Array) return [Int(key)];
        return [.. List(key, JsonValueKind.Number, "token ids")!.Select(item => item.TryGetInt32(out var id)
            ? id : throw Fault(key, $"holds {item.GetRawText()}, not a token id"))];
    }

    public ModelException Missing(string key) => new($"config '{path}' has no '{prefix}{key}'; take the model's own config.json");

    public ModelException Fault(string key, string why) => new($"config '{path}': '{prefix}{key}' {why}; take the model's own config.json");

    public ModelException NotImplemented(string key, string value)
        => new($"config '{path}': '{prefix}{key}' is {value}, which changes what the model computes and is not implemented; choose another model");

    /// <summary>Refuses a key that would change the computation unless it is absent, null, false, 0 or one of the values allowed.</summary>
    public void Refuse(string key, params ReadOnlySpan<string> allowed)
    {
        if (!Has(key)) return;
        var value = element.GetProperty(key);
        var raw = value.GetRawText();
        if (raw is "false" or "[]" or "{}" || (value.ValueKind == JsonValueKind.Number && value.GetDouble() == 0)) return;
        foreach (var harmless in allowed)
            if (raw == harmless) return;
        throw NotImplemented(key, raw.Length > 60 ? raw[..60] + "..." : raw);
    }

    private List<JsonElement>? List(string key, JsonValueKind kind, string what)
    {
        _read.Add(key);
        if (!Has(key)) return null;
        var value = element.GetProperty(key);
        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(item => item.ValueKind != kind)) throw Fault(key, $"is not a list of {what}");
        return [.. value.EnumerateArray()];
    }
}
