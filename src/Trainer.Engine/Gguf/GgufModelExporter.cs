using System.Runtime.InteropServices;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Runs;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Quantize;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Families;

namespace Trainer.Engine.Gguf;

/// <summary>
/// Writes a model folder as one GGUF file with its tokenizer, a few rows in memory at a time. Rows and columns that llama.cpp has in another order are put
/// there, norms stored minus one get their one, experts are stacked (<see cref="GgufPlace"/>); towers beside the text model are left out.
/// </summary>
public static class GgufModelExporter
{
    private const int ElementsAtOnce = 1 << 22;

    /// <summary>Writes the file.</summary>
    /// <param name="folder">A model folder, dense or quantized (then its dequantized values are written).</param>
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
        // Rows are taken by the config's counts: of another shape they would be wrong ones.
        FolderCheck.Require(folder);
        using var tensors = BaseTensors.Open(folder);
        var stored = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var name in tensors.Names)
            if (config.ModuleTensor(name) is { } place) stored[place] = name;
        if (stored.Count < tensors.Names.Count) notes.Add($"{tensors.Names.Count - stored.Count} tensors that are not the text model's are left out");
        metadata.AddRange(GgufActivation.Of(config, tensors, name => stored.GetValueOrDefault(name) ?? throw WeightFiles.Missing(name, folder)));
        List<GgufPlace> places = [.. GgufPlace.Of(config)];
        if (GgufPlace.OwnHead(config) is { } head) places.Add(head);
        var plan = places.Select(place => (Place: place, Declaration: Declare(place, options.Type))).ToList();
        var factors = GgufModelMetadata.RopeFactors(config);
        List<GgufDeclaration> declarations = [.. plan.Where(one => one.Place.Slot == 0).Select(one => one.Declaration),
            .. factors.Select(one => new GgufDeclaration(one.Name, GgufTensorType.F32, [one.Values.Length]))];
        long total = declarations.Sum(one => one.ByteCount), done = 0;
        DiskSpace.Require(Path.GetDirectoryName(Path.GetFullPath(target))!, total, "the GGUF file");
        AtomicFile.Write(target, temporary =>
        {
            using var writer = GgufWriter.Create(temporary, metadata, declarations);
            var experts = new GgufExpertRows(tensors, stored, folder);
            foreach (var (place, declaration) in plan)
            {
                if (place.Part is null)
                    Write(writer, tensors, stored.GetValueOrDefault(place.Tensor) ?? throw WeightFiles.Missing(place.Tensor, folder), place, declaration);
                else for (var expert = 0; expert < place.Shape[0]; expert++)
                    writer.Write(declaration.Name, GgufBlocks.Encode(experts.Read(place, expert), declaration.Type, place.Name));
                options.Progress?.Invoke(done += declaration.ByteCount / place.Slots, total);
            }
            foreach (var (name, values) in factors) writer.Write(name, MemoryMarshal.AsBytes<float>(values));
            writer.Complete();
        }, temporary => GgufFile.Open(temporary).Dispose());
        return new GgufModelReport(declarations.Count, new FileInfo(target).Length, notes);
    }

    // As llama.cpp's converter does: vectors and small tensors stay F32, and rows that are no whole number of blocks take F16.
    private static GgufDeclaration Declare(GgufPlace place, GgufTensorType type)
    {
        long[] dimensions = [.. place.Shape.Reverse()];
        return new GgufDeclaration(place.Name, place.IsExact
            ? GgufTensorType.F32 : type == GgufTensorType.Q8_0 && dimensions[0] % 32 != 0 ? GgufTensorType.F16 : type, dimensions);
    }

    private static void Write(GgufWriter writer, BaseTensors tensors, string stored, GgufPlace place, GgufDeclaration declaration)
    {
        var columns = place.RowLength;
        var rows = place.Elements / columns;
        long unit = Math.Max(1, place.TurnedRows), step = Math.Max(1, ElementsAtOnce / columns / unit) * unit;
        for (long row = 0; row < rows; row += step)
        {
            var count = (int)Math.Min(step, rows - row);
            var values = new float[count * columns];
            if (place.Rows is not { } order) tensors.Read(stored, row * columns, values);
            else for (var i = 0; i < count; i++) tensors.Read(stored, order[row + i] * columns, values.AsSpan((int)(i * columns), (int)columns));
            if (place.Columns is { } turns) Reorder(values, turns);
            if (place.TurnedRows > 0) values = GgufTurn.Blocks(values, place.TurnedRows, (int)columns);
            if (place.Multipliers is { } multipliers)
                for (long i = 0; i < values.Length; i++) values[i] *= multipliers[row + i / columns];
            Change(values, place.Change);
            writer.Write(declaration.Name, GgufBlocks.Encode(values, declaration.Type, stored));
        }
    }

    private static void Reorder(float[] values, int[] order)
    {
        var row = new float[order.Length];
        for (var begin = 0; begin < values.Length; begin += order.Length)
        {
            values.AsSpan(begin, order.Length).CopyTo(row);
            for (var i = 0; i < order.Length; i++) values[begin + i] = row[order[i]];
        }
    }

    private static void Change(float[] values, GgufChange change)
    {
        if (change == GgufChange.PlusOne) foreach (ref var value in values.AsSpan()) value += 1;
        if (change == GgufChange.MinusExp) foreach (ref var value in values.AsSpan()) value = -MathF.Exp(value);
    }
}
