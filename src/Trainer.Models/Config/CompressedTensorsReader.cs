namespace Trainer.Models.Config;

/// <summary>Reads what compressed-tensors says of a folder: one kind of quantization for each group of modules.</summary>
internal static class CompressedTensorsReader
{
    private const string Mixed = "mixed-precision";

    /// <summary>The layout; where groups differ, those behind the first are its others.</summary>
    public static StoredQuantization? Read(ConfigReader reader, ConfigReader quantization)
    {
        if (quantization.Text("quantization_status") is { } status && status is not ("compressed" or "frozen"))
            throw quantization.NotImplemented("quantization_status", $"'{status}'");
        var format = quantization.Text("format");
        if (quantization.Object("sparsity_config") is { } sparsity && sparsity.Text("format") is { } kind && kind != "dense")
            throw quantization.NotImplemented("sparsity_config.format", $"'{kind}'");
        var groups = quantization.Object("config_groups") ?? throw quantization.Missing("config_groups");
        var all = new List<StoredQuantization>();
        foreach (var name in groups.Keys)
        {
            var group = groups.Object(name) ?? throw quantization.Fault($"config_groups.{name}", "is no object");
            var weights = group.Object("weights") ?? throw quantization.Fault($"config_groups.{name}.weights", "is missing");
            all.Add(Group(reader, group.Text("format") ?? format, weights) with
            {
                Targets = [.. (group.Texts("targets") ?? []).Select(target => QuantizationReader.Target(group, "targets", target))],
            });
        }
        if (all.Count == 0) throw quantization.Fault("config_groups", "is empty");
        if (all.Count == 1) return all[0];
        return all[0] with { Others = [.. all.Skip(1)], Name = "compressed-tensors " + (format ?? Mixed) };
    }

    private static StoredQuantization Group(ConfigReader reader, string? format, ConfigReader weights)
    {
        var (bits, type, strategy) = (weights.Int("num_bits"), weights.Text("type") ?? "int", weights.Text("strategy"));
        StoredFormat? found = (format, type, bits) switch
        {
            ("float-quantized" or "naive-quantized", "float", 8) => StoredFormat.CompressedFp8,
            ("int-quantized" or "naive-quantized", "int", 8) => StoredFormat.CompressedInt8,
            ("pack-quantized", "int", 2 or 4 or 8) => StoredFormat.CompressedPacked,
            _ => null,
        };
        if (found is null || strategy is not (null or "tensor" or "channel" or "group" or "block"))
            throw new ModelException($"config '{reader.Path}': compressed-tensors with {bits} bits of type '{type}', strategy '{strategy}', in format "
                + $"'{format}' is not read (8-bit float-quantized and int-quantized, 2-, 4- and 8-bit pack-quantized are); take the original model and let "
                + "--quantize nf4 do it");
        return new StoredQuantization
        {
            Format = found.Value,
            Bits = bits,
            Block = strategy == "block" ? QuantizationReader.Block(weights, "block_structure") : null,
            GroupSize = weights.IntOrNull("group_size") is > 0 and var size ? size : null,
            Name = "compressed-tensors " + format,
        };
    }
}
