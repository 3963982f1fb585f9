namespace Trainer.Models.Config;

/// <summary>Reads quantization_config of config.json: which layout the tensors have, or a refusal that names the method, the format or the bits.</summary>
internal static class QuantizationReader
{
    /// <summary>The layout, or null for a folder that is not quantized.</summary>
    public static StoredQuantization? Read(ConfigReader reader)
    {
        if (reader.Object("quantization_config") is not { } quantization) return null;
        // bitsandbytes leaves its settings behind with both switches off: the weights are plain then.
        var isOff = !quantization.Bool("load_in_4bit") && !quantization.Bool("load_in_8bit");
        if (isOff && (quantization.Text("quant_method") == "bitsandbytes" || (!quantization.Has("quant_method") && quantization.Has("load_in_4bit"))))
            return null;
        var method = quantization.Text("quant_method") ?? (isOff ? "an unnamed method" : "bitsandbytes");
        return method switch
        {
            "bitsandbytes" => BitsAndBytes(quantization),
            "fp8" => Fp8(quantization),
            "compressed-tensors" => CompressedTensors(reader, quantization),
            "gptq" => Gptq(quantization),
            "awq" => Awq(quantization),
            "mxfp4" => new StoredQuantization { Format = StoredFormat.Mxfp4, GroupSize = 32, Name = "mxfp4" },
            "gguf" => new StoredQuantization { Format = StoredFormat.Gguf, Name = "gguf" },
            _ =>
                throw new ModelException($"config '{reader.Path}': the folder is quantized with '{method}', which is not read (bitsandbytes nf4, fp8, "
                + "compressed-tensors, gptq, awq and mxfp4 are); "
                + "take the original model and let --quantize nf4 do it"),
        };
    }

    private static StoredQuantization BitsAndBytes(ConfigReader quantization)
    {
        if (!quantization.Bool("load_in_4bit")) throw quantization.NotImplemented("load_in_8bit", "true");
        // The type may be left out of old files; the tensors' own quant_state then decides.
        var type = quantization.Text("bnb_4bit_quant_type");
        if (type is not (null or "nf4")) throw quantization.NotImplemented("bnb_4bit_quant_type", $"'{type}'");
        return new StoredQuantization { Format = StoredFormat.Nf4, DoubleQuantized = quantization.Bool("bnb_4bit_use_double_quant"),
            Name = "bitsandbytes nf4" };
    }

    private static StoredQuantization Fp8(ConfigReader quantization)
    {
        if (quantization.Text("fmt") is { } format && format != "e4m3") throw quantization.NotImplemented("fmt", $"'{format}'");
        return new StoredQuantization { Format = StoredFormat.Fp8, Block = Block(quantization, "weight_block_size"), Name = "fp8" };
    }

    private static StoredQuantization CompressedTensors(ConfigReader reader, ConfigReader quantization)
    {
        if (quantization.Text("quantization_status") is { } status && status is not ("compressed" or "frozen"))
            throw quantization.NotImplemented("quantization_status", $"'{status}'");
        var format = quantization.Text("format");
        if (format is not ("float-quantized" or "pack-quantized")) throw quantization.NotImplemented("format", $"'{format}'");
        if (quantization.Object("sparsity_config") is { } sparsity && sparsity.Text("format") is { } kind && kind != "dense")
            throw quantization.NotImplemented("sparsity_config.format", $"'{kind}'");
        var groups = quantization.Object("config_groups") ?? throw quantization.Missing("config_groups");
        StoredQuantization? first = null;
        foreach (var name in groups.Keys)
        {
            var weights = groups.Object(name)?.Object("weights") ?? throw quantization.Fault($"config_groups.{name}.weights", "is missing");
            var isFloat = weights.Text("type") == "float";
            if (weights.Int("num_bits") != (isFloat ? 8 : 4) || isFloat != (format == "float-quantized"))
                throw new ModelException($"config '{reader.Path}': compressed-tensors with {weights.Int("num_bits")} bits of type "
                    + $"'{weights.Text("type")}' in format '{format}' is not read "
                    + "(8-bit float-quantized and 4-bit pack-quantized are); take the original model and let --quantize nf4 do it");
            var found = new StoredQuantization
            {
                Format = isFloat ? StoredFormat.CompressedFp8 : StoredFormat.CompressedInt4,
                Block = weights.Text("strategy") == "block" ? Block(weights, "block_structure") : null,
                GroupSize = weights.IntOrNull("group_size") is > 0 and var size ? size : null,
                Name = "compressed-tensors " + format,
            };
            first ??= found;
            if (found != first) throw quantization.NotImplemented("config_groups", "groups of several kinds");
        }
        return first ?? throw quantization.Fault("config_groups", "is empty");
    }

    private static StoredQuantization Gptq(ConfigReader quantization)
    {
        RequireFourBits(quantization);
        var format = quantization.Text("checkpoint_format") ?? (quantization.Bool("is_marlin_format") ? "marlin" : "gptq");
        if (format is not ("gptq" or "gptq_v2")) throw quantization.NotImplemented("checkpoint_format", $"'{format}'");
        return new StoredQuantization { Format = StoredFormat.Gptq, GroupSize = GroupSize(quantization), ZerosMinusOne = format == "gptq", Name = format };
    }

    private static StoredQuantization Awq(ConfigReader quantization)
    {
        RequireFourBits(quantization);
        if ((quantization.Text("version") ?? "gemm").ToLowerInvariant() is var version && version != "gemm")
            throw quantization.NotImplemented("version", $"'{version}'");
        return new StoredQuantization { Format = StoredFormat.Awq, GroupSize = GroupSize(quantization), Name = "awq" };
    }

    private static void RequireFourBits(ConfigReader quantization)
    {
        var key = quantization.Has("bits") ? "bits" : "w_bit";
        if (quantization.Int(key) is var bits && bits != 4)
            throw quantization.NotImplemented(key, bits.ToString(System.Globalization.CultureInfo.InvariantCulture));
    }

    // -1 says: one group for the whole row.
    private static int? GroupSize(ConfigReader quantization)
    {
        var key = quantization.Has("group_size") ? "group_size" : "q_group_size";
        var size = quantization.Int(key);
        if (size == -1) return null;
        return size > 0 ? size : throw quantization.Fault(key, $"is {size}");
    }

    private static (int Rows, int Columns)? Block(ConfigReader quantization, string key)
    {
        if (!quantization.Has(key)) return null;
        return quantization.Ids(key) is [> 0 and var rows, > 0 and var columns]
            ? (rows, columns) : throw quantization.Fault(key, "is not two positive numbers");
    }
}
