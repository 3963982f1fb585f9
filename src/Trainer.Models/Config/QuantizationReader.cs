using System.Globalization;
using System.Text.RegularExpressions;

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
            "fbgemm_fp8" => new StoredQuantization { Format = StoredFormat.CompressedFp8, Bits = 8, Name = "fbgemm fp8" },
            "compressed-tensors" => CompressedTensorsReader.Read(reader, quantization),
            "gptq" => GptqReader.Read(quantization),
            "awq" => Awq(quantization),
            "mxfp4" => new StoredQuantization { Format = StoredFormat.Mxfp4, GroupSize = 32, Name = "mxfp4" },
            "gguf" => new StoredQuantization { Format = StoredFormat.Gguf, Name = "gguf" },
            _ => throw new ModelException($"config '{reader.Path}': the folder is quantized with '{method}', which is not read (bitsandbytes, fp8, fbgemm_fp8, "
                + "compressed-tensors, gptq, awq and mxfp4 are); take the original model and let --quantize nf4 do it"),
        };
    }

    private static StoredQuantization BitsAndBytes(ConfigReader quantization)
    {
        if (quantization.Bool("load_in_8bit") && quantization.Bool("load_in_4bit"))
            throw quantization.Fault("load_in_8bit", "and load_in_4bit are both true");
        if (quantization.Bool("load_in_8bit")) return new StoredQuantization { Format = StoredFormat.BnbInt8, Bits = 8, Name = "bitsandbytes int8" };
        // The type may be left out of old files; the tensors' own quant_state then decides.
        var type = quantization.Text("bnb_4bit_quant_type");
        if (type is not (null or "nf4" or "fp4")) throw quantization.NotImplemented("bnb_4bit_quant_type", $"'{type}'");
        return new StoredQuantization { Format = type == "fp4" ? StoredFormat.BnbFp4 : StoredFormat.Nf4, Name = "bitsandbytes " + (type ?? "nf4"),
            DoubleQuantized = quantization.Bool("bnb_4bit_use_double_quant") };
    }

    private static StoredQuantization Fp8(ConfigReader quantization)
    {
        if (quantization.Text("fmt") is { } format && format != "e4m3") throw quantization.NotImplemented("fmt", $"'{format}'");
        return new StoredQuantization { Format = StoredFormat.Fp8, Bits = 8, Block = Block(quantization, "weight_block_size"), Name = "fp8" };
    }

    private static StoredQuantization Awq(ConfigReader quantization)
    {
        var key = quantization.Has("bits") ? "bits" : "w_bit";
        if (quantization.Int(key) is var bits && bits != 4) throw quantization.NotImplemented(key, bits.ToString(CultureInfo.InvariantCulture));
        if (quantization.Text("backend") is { } backend && backend != "autoawq") throw quantization.NotImplemented("backend", $"'{backend}'");
        var version = (quantization.Text("version") ?? "gemm").ToLowerInvariant();
        return new StoredQuantization
        {
            Format = version switch
            {
                "gemm" => StoredFormat.Awq,
                "gemv" => StoredFormat.AwqGemv,
                _ => throw quantization.NotImplemented("version", $"'{version}'"),
            },
            GroupSize = GroupSize(quantization),
            Name = version == "gemm" ? "awq" : "awq " + version,
        };
    }

    /// <summary>Columns that share a scale; -1 says: one group for the whole row.</summary>
    public static int? GroupSize(ConfigReader quantization)
    {
        var key = quantization.Has("group_size") ? "group_size" : "q_group_size";
        var size = quantization.Int(key);
        if (size == -1) return null;
        return size > 0 ? size : throw quantization.Fault(key, $"is {size}");
    }

    /// <summary>A module's path or, behind <c>re:</c>, an expression, which must be one.</summary>
    public static string Target(ConfigReader reader, string key, string target)
    {
        if (!target.StartsWith("re:", StringComparison.Ordinal)) return target;
        try
        {
            _ = new Regex(target["re:".Length..], RegexOptions.CultureInvariant);
            return target;
        }
        catch (ArgumentException fault)
        {
            throw reader.Fault(key, $"has the expression '{target["re:".Length..]}', which is none: {fault.Message.Split('.')[0]}");
        }
    }

    /// <summary>Rows and columns that share a scale, or null.</summary>
    public static (int Rows, int Columns)? Block(ConfigReader quantization, string key)
    {
        if (!quantization.Has(key)) return null;
        return quantization.Ids(key) is [> 0 and var rows, > 0 and var columns]
            ? (rows, columns) : throw quantization.Fault(key, "is not two positive numbers");
    }
}
