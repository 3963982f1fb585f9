using System.Globalization;
using Trainer.Engine;
using Trainer.Models;

namespace Trainer.Training;

/// <summary>Finds the first element of a flat buffer that is NaN or infinite.</summary>
internal static class NonFinitePlace
{
    public static string? In(ReadOnlySpan<float> buffer, IReadOnlyList<ParameterEntry> tensors, string kind) => In(buffer, kind, tensors);

    /// <summary>As the other for gradients, from the last tensor down: a backward pass carries what is not finite to every layer below the one where it arose.</summary>
    public static string? FromTop(ReadOnlySpan<float> buffer, IReadOnlyList<ParameterEntry> tensors, string kind) => In(buffer, kind, tensors.Reverse());

    private static string? In(ReadOnlySpan<float> buffer, string kind, IEnumerable<ParameterEntry> tensors)
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
