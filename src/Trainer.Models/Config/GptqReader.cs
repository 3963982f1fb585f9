using System.Globalization;

namespace Trainer.Models.Config;

/// <summary>Reads what GPTQ's tools say of a folder.</summary>
internal static class GptqReader
{
    /// <summary>The layout.</summary>
    public static StoredQuantization Read(ConfigReader quantization)
    {
        var format = quantization.Text("checkpoint_format") ?? quantization.Text("format") ?? (quantization.Bool("is_marlin_format") ? "marlin" : "gptq");
        if (format is not ("gptq" or "gptq_v2")) throw quantization.NotImplemented("checkpoint_format", $"'{format}'");
        if (quantization.Text("pack_dtype") is { } type && type != "int32") throw quantization.NotImplemented("pack_dtype", $"'{type}'");
        var common = new StoredQuantization
        {
            Format = StoredFormat.Gptq,
            Bits = Bits(quantization),
            GroupSize = QuantizationReader.GroupSize(quantization),
            ZerosMinusOne = format == "gptq",
            Name = format,
        };
        return quantization.Object("dynamic") is { } rules ? common with { Others = [.. Rules(rules, common)] } : common;
    }

    // Expressions that modules begin with; a minus leaves modules as they are, which their tensors say too.
    private static IEnumerable<StoredQuantization> Rules(ConfigReader rules, StoredQuantization common)
    {
        foreach (var key in rules.Keys)
        {
            if (key.StartsWith("-:", StringComparison.Ordinal) || rules.Object(key) is not { } own) continue;
            yield return common with
            {
                Targets = [QuantizationReader.Target(rules, key, "re:" + (key.StartsWith("+:", StringComparison.Ordinal) ? key[2..] : key))],
                Bits = own.Has("bits") ? Bits(own) : common.Bits,
                GroupSize = own.Has("group_size") ? QuantizationReader.GroupSize(own) : common.GroupSize,
            };
        }
    }

    private static int Bits(ConfigReader quantization)
    {
        var key = quantization.Has("bits") ? "bits" : "w_bit";
        return quantization.Int(key) is 2 or 3 or 4 or 8 ? quantization.Int(key)
            : throw quantization.NotImplemented(key, quantization.Int(key).ToString(CultureInfo.InvariantCulture));
    }
}
