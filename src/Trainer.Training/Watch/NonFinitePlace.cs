using System.Globalization;
using Trainer.Models;

namespace Trainer.Training;

/// <summary>Finds the first element of a flat buffer that is NaN or infinite.</summary>
internal static class NonFinitePlace
{
    public static string? In(ReadOnlySpan<float> buffer, IReadOnlyList<ParameterEntry> tensors, string kind)
    {
        foreach (var tensor in tensors)
        {
            var values = buffer.Slice((int)tensor.Offset, (int)tensor.Count);
            for (var i = 0; i < values.Length; i++)
                if (!float.IsFinite(values[i])) return $"{kind} {tensor.Name} is {values[i].ToString(CultureInfo.InvariantCulture)} at element {i}";
        }
        return null;
    }
}
