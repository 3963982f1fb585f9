using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Quantize;
using Trainer.Models;

namespace Trainer.Adapters;

/// <summary>Reads a stored tensor of any float type and any size as float32, a part at a time.</summary>
internal static class AdapterValues
{
    private const int Part = 1 << 22;

    /// <summary>Gets a part of a tensor.</summary>
    /// <param name="begin">First element.</param>
    /// <param name="values">The elements from there.</param>
    public delegate void Visit(long begin, ReadOnlySpan<float> values);

    /// <summary>The whole tensor, where it is small enough to be held beside the model; false where it is of no float type.</summary>
    public static bool TryRead(SafetensorsFile file, SafetensorsEntry entry, out float[] values)
    {
        var all = values = new float[entry.ElementCount];
        if (!StoredValues.CanRead(entry.Dtype)) return false;
        Read(file, entry, (begin, part) => part.CopyTo(all.AsSpan((int)begin)));
        return true;
    }

    /// <summary>The whole tensor.</summary>
    /// <exception cref="AdapterException">It is of no float type, or holds NaN or infinity.</exception>
    public static float[] Read(SafetensorsFile file, SafetensorsEntry entry)
    {
        var all = new float[entry.ElementCount];
        Read(file, entry, (begin, part) => part.CopyTo(all.AsSpan((int)begin)));
        return all;
    }

    /// <summary>Shows the whole tensor.</summary>
    /// <param name="file">The adapter's weights.</param>
    /// <param name="entry">One of its tensors.</param>
    /// <param name="visit">Gets each part, in order.</param>
    /// <exception cref="AdapterException">It is of no float type, or holds NaN or infinity.</exception>
    public static void Read(SafetensorsFile file, SafetensorsEntry entry, Visit visit)
    {
        if (!StoredValues.CanRead(entry.Dtype))
            throw new AdapterException($"tensor '{entry.Name}' of '{file.Path}' is of type {entry.Dtype}, which is not implemented; save the adapter as "
                + "float32");
        var values = new float[Math.Min(Part, entry.ElementCount)];
        for (long begin = 0; begin < entry.ElementCount; begin += Part)
        {
            var part = values.AsSpan(0, (int)Math.Min(Part, entry.ElementCount - begin));
            try
            {
                StoredValues.Read(file, entry, begin, part);
            }
            catch (ModelException fault)
            {
                throw new AdapterException($"tensor '{entry.Name}' of '{file.Path}' holds NaN or infinity; the adapter is damaged", fault);
            }
            visit(begin, part);
        }
    }
}
