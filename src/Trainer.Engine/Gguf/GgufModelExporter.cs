using System.Runtime.InteropServices;
using Trainer.Checkpoints;

namespace Trainer.Engine;

/// <summary>
/// Writes a model folder as one GGUF file with its tokenizer, a few rows in memory at a time.
/// For the architectures that llama.cpp rotates in pairs the rows of q and k are put in that order; Gemma's norms get the one that is added to them.
/// </summary>
public static class GgufModelExporter
{
    private const int ElementsAtOnce = 1 << 22;

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
        var config = ConfigLoader.Load(folder);
        var notes = new List<string>();
        if (options.Type is not (GgufTensorType.F32 or GgufTensorType.F16 or GgufTensorType.BF16 or GgufTensorType.Q8_0))
            throw new ModelException($"type {options.Type} cannot be written; choose f32, f16, bf16 or q8_0");
        var metadata = GgufModelMetadata.Of(config, folder, options, notes);
        using var tensors = BaseTensors.Open(folder);
        var isPermuted = GgufArchitecture.Of(config.ModelType)!.IsPermuted;
        var blueprint = DecoderBlueprint.Of(config);
        // A tied head is the embedding in llama.cpp too.
        var plan = tensors.Names.Where(name => !(config.TiedEmbeddings && name == blueprint.Head.WeightName)).Select(name => Declare(tensors, blueprint, name, options.Type, folder)).ToList();
        var factors = GgufModelMetadata.RopeFactors(config);
        List<GgufDeclaration> declarations = [.. plan.Select(one => one.Declaration), .. factors.Select(one => new GgufDeclaration(one.Name, GgufTensorType.F32, [one.Values.Length]))];
        long total = declarations.Sum(one => one.ByteCount), done = 0;
        DiskSpace.Require(Path.GetDirectoryName(Path.GetFullPath(target))!, total, "the GGUF file");
        AtomicFile.Write(target, temporary =>
        {
            using var writer = GgufWriter.Create(temporary, metadata, declarations);
            foreach (var (module, name, declaration) in plan)
            {
                var heads = (isPermuted, module.Role) switch { (true, ModuleRole.Query) => config.Heads, (true, ModuleRole.Key) => config.KvHeads, _ => 0 };
                Write(writer, tensors, name, declaration, heads, config.HeadSize, config.NormWeightPlusOne && module.Kind == ModuleKind.Norm ? 1 : 0);
                options.Progress?.Invoke(done += declaration.ByteCount, total);
            }
            foreach (var (name, values) in factors) writer.Write(name, MemoryMarshal.AsBytes<float>(values));
            writer.Complete();
        }, temporary => GgufFile.Open(temporary).Dispose());
        return new GgufModelReport(declarations.Count, new FileInfo(target).Length, notes);
    }

    private static (ModuleBlueprint Module, string Name, GgufDeclaration Declaration) Declare(BaseTensors tensors, DecoderBlueprint blueprint, string name, GgufTensorType type, string folder)
    {
        var (shape, _) = tensors.Shapes[name];
        long[] dimensions = [.. shape.Reverse()];
        // As llama.cpp's converter does: vectors stay F32, and rows that are no whole number of blocks take F16.
        var own = shape.Length == 1 ? GgufTensorType.F32 : type == GgufTensorType.Q8_0 && dimensions[0] % 32 != 0 ? GgufTensorType.F16 : type;
        var module = blueprint.OwnerOf(name) ?? throw new ModelException($"tensor '{name}' of '{folder}' has no place in a GGUF file of this family; convert it with llama.cpp");
        return (module, name, new GgufDeclaration($"{GgufArchitecture.NameOf(module)}.{(name == module.WeightName ? "weight" : "bias")}", own, dimensions));
    }

    private static void Write(GgufWriter writer, BaseTensors tensors, string name, GgufDeclaration declaration, int heads, int headSize, float shift)
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
            if (shift != 0) foreach (ref var value in part) value += shift;
            ReadOnlySpan<float> ordered = heads > 0 ? RotaryOrder.Interleave(part, headSize, (int)columns) : part;
            writer.Write(declaration.Name, GgufBlocks.Encode(ordered, declaration.Type, name));
        }
    }
}
