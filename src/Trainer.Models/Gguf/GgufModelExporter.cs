using System.Runtime.InteropServices;
using Trainer.Checkpoints;

namespace Trainer.Models;

/// <summary>
/// Writes a model folder of the llama, mistral, qwen2 or qwen3 family as one GGUF file with its tokenizer, a few rows in memory at a time.
/// For the llama architecture the rows of q and k go from Hugging Face's rotary order (halves) to llama.cpp's (pairs).
/// </summary>
public static class GgufModelExporter
{
    private const int ElementsAtOnce = 1 << 22;

    private static readonly Dictionary<string, string> LayerParts = new(StringComparer.Ordinal)
    {
        ["input_layernorm"] = "attn_norm", ["post_attention_layernorm"] = "ffn_norm", ["self_attn.q_proj"] = "attn_q", ["self_attn.k_proj"] = "attn_k", ["self_attn.v_proj"] = "attn_v",
        ["self_attn.o_proj"] = "attn_output", ["self_attn.q_norm"] = "attn_q_norm", ["self_attn.k_norm"] = "attn_k_norm", ["mlp.gate_proj"] = "ffn_gate", ["mlp.up_proj"] = "ffn_up", ["mlp.down_proj"] = "ffn_down",
    };

    /// <summary>Writes the file.</summary>
    /// <param name="folder">A model folder, dense or NF4 (then its dequantized values are written).</param>
    /// <param name="target">The .gguf file; an existing one is replaced when the new one is whole.</param>
    /// <param name="options">How.</param>
    /// <exception cref="ModelException">A family, rope scaling or tensor that has no place in the file.</exception>
    /// <exception cref="BadFileException">A tokenizer or weights file is missing, damaged or of a kind that llama.cpp does not know.</exception>
    /// <exception cref="CannotWriteException">The file cannot be written.</exception>
    public static GgufModelReport Export(string folder, string target, GgufModelOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var config = ModelConfig.Load(folder);
        var notes = new List<string>();
        if (options.Type is not (GgufTensorType.F32 or GgufTensorType.F16 or GgufTensorType.BF16 or GgufTensorType.Q8_0))
            throw new ModelException($"type {options.Type} cannot be written; choose f32, f16, bf16 or q8_0");
        var metadata = GgufModelMetadata.Of(config, folder, options, notes);
        using var tensors = BaseTensors.Open(folder);
        var isPermuted = config.ModelType is "llama" or "mistral";
        // A tied head is the embedding in llama.cpp too.
        var plan = tensors.Names.Where(name => !(config.TiedEmbeddings && name == "lm_head.weight")).Select(name => (Name: name, Declaration: Declare(tensors, name, options.Type, folder))).ToList();
        var factors = GgufModelMetadata.RopeFactors(config);
        List<GgufDeclaration> declarations = [.. plan.Select(one => one.Declaration)];
        if (factors is not null) declarations.Add(new GgufDeclaration("rope_freqs.weight", GgufTensorType.F32, [factors.Length]));
        long total = declarations.Sum(one => one.ByteCount), done = 0;
        DiskSpace.Require(Path.GetDirectoryName(Path.GetFullPath(target))!, total, "the GGUF file");
        AtomicFile.Write(target, temporary =>
        {
            using var writer = GgufWriter.Create(temporary, metadata, declarations);
            foreach (var (name, declaration) in plan)
            {
                var heads = !isPermuted ? 0 : name.Contains(".self_attn.q_proj.", StringComparison.Ordinal) ? config.Heads : name.Contains(".self_attn.k_proj.", StringComparison.Ordinal) ? config.KvHeads : 0;
                Write(writer, tensors, name, declaration, heads, config.HeadSize);
                options.Progress?.Invoke(done += declaration.ByteCount, total);
            }
            if (factors is not null) writer.Write("rope_freqs.weight", MemoryMarshal.AsBytes<float>(factors));
            writer.Complete();
        }, temporary => GgufFile.Open(temporary).Dispose());
        return new GgufModelReport(declarations.Count, new FileInfo(target).Length, notes);
    }

    private static GgufDeclaration Declare(BaseTensors tensors, string name, GgufTensorType type, string folder)
    {
        var (shape, _) = tensors.Shapes[name];
        long[] dimensions = [.. shape.Reverse()];
        // As llama.cpp's converter does: vectors stay F32, and rows that are no whole number of blocks take F16.
        var own = shape.Length == 1 ? GgufTensorType.F32 : type == GgufTensorType.Q8_0 && dimensions[0] % 32 != 0 ? GgufTensorType.F16 : type;
        return new GgufDeclaration(NameOf(name) ?? throw new ModelException($"tensor '{name}' of '{folder}' has no place in a GGUF file of this family; convert it with llama.cpp"), own, dimensions);
    }

    private static string? NameOf(string name)
    {
        switch (name)
        {
            case "model.embed_tokens.weight": return "token_embd.weight";
            case "model.norm.weight": return "output_norm.weight";
            case "lm_head.weight": return "output.weight";
        }
        var parts = name.Split('.');
        if (parts.Length < 5 || parts[0] != "model" || parts[1] != "layers" || !int.TryParse(parts[2], out var layer)) return null;
        return LayerParts.TryGetValue(string.Join('.', parts[3..^1]), out var part) ? $"blk.{layer}.{part}.{parts[^1]}" : null;
    }

    private static void Write(GgufWriter writer, BaseTensors tensors, string name, GgufDeclaration declaration, int heads, int headSize)
    {
        var columns = declaration.Dimensions.Length == 1 ? 1 : declaration.Dimensions[0];
        var count = declaration.Dimensions.Aggregate(1L, (product, side) => product * side);
        // Permuted rows stay within their head, so whole heads are moved at a time.
        var unit = heads > 0 ? headSize * columns : columns;
        var step = Math.Max(1, ElementsAtOnce / unit) * unit;
        if (columns == 1 && heads == 0) step = count;
        var values = new float[Math.Min(step, count)];
        for (long begin = 0; begin < count; begin += step)
        {
            var part = values.AsSpan(0, (int)Math.Min(step, count - begin));
            tensors.Read(name, begin, part);
            ReadOnlySpan<float> ordered = heads > 0 ? RotaryOrder.Interleave(part, headSize, (int)columns) : part;
            writer.Write(declaration.Name, GgufBlocks.Encode(ordered, declaration.Type));
        }
    }
}
