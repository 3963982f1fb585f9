using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Quantize;
using Trainer.Engine.Weights;
using Trainer.Models.Parts;

namespace Trainer.Engine.Gguf;

/// <summary>The matrices of single experts as [out, in], whichever layout the folder has them in.</summary>
internal sealed class GgufExpertRows(BaseTensors tensors, IReadOnlyDictionary<string, string> stored, string folder)
{
    /// <summary>One expert's matrix, or its bias.</summary>
    public float[] Read(GgufPlace place, int expert)
    {
        var (module, part) = (place.Module, place.Part!.Value);
        var block = module.Experts!;
        int wide = block.Width, hidden = module.ExpertColumns, columns = place.IsBias ? 1 : part == ExpertPart.Down ? wide : hidden;
        var own = ExpertTensors.Own(module, expert);
        if (!place.IsBias && stored.ContainsKey(own[0].Name))
        {
            return part switch
            {
                ExpertPart.GateUp => [.. Whole(own[0]), .. Whole(own[1])],
                _ => Whole(own.First(tensor => tensor.Part == part)),
            };
        }
        var isDown = part == ExpertPart.Down;
        var name = $"{module.StoredPath}.{(isDown ? block.Names.AllDown : block.Names.AllGateUp)}{(place.IsBias ? "_bias" : "")}";
        var rows = isDown ? hidden : block.InnerRows;
        var all = new float[(long)rows * columns];
        tensors.Read(Stored(name), expert * all.LongLength, all);
        if (block.IsTransposed && !place.IsBias) all = Turned(all, columns, rows);
        if (isDown || part == ExpertPart.GateUp || !block.IsGated) return all;
        var half = new float[(long)wide * columns];
        for (var row = 0; row < wide; row++)
        {
            var from = block.IsClamped ? 2 * row + (part == ExpertPart.Up ? 1 : 0) : part == ExpertPart.Up ? wide + row : row;
            all.AsSpan(from * columns, columns).CopyTo(half.AsSpan(row * columns));
        }
        return half;
    }

    private float[] Whole((string Name, long[] Shape, ExpertPart Part) tensor)
    {
        var values = new float[tensor.Shape[0] * tensor.Shape[1]];
        tensors.Read(Stored(tensor.Name), 0, values);
        return values;
    }

    private string Stored(string name) => stored.GetValueOrDefault(name) ?? throw WeightFiles.Missing(name, folder);

    private static float[] Turned(float[] values, int rows, int columns)
    {
        var turned = new float[values.Length];
        for (var row = 0; row < rows; row++)
            for (var column = 0; column < columns; column++) turned[column * rows + row] = values[row * columns + column];
        return turned;
    }
}
