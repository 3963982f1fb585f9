using System.Numerics;

namespace Trainer.Templates.Jinja;

/// <summary>The three parts of <c>a[start:stop:step]</c>; null where left out.</summary>
internal sealed class PySlice(BigInteger? start, BigInteger? stop, BigInteger? step)
{
    public static PySlice From(object start, object stop, object step) => new(Part(start), Part(stop), Part(step));

    /// <summary>First index, count and stride over a sequence of this length.</summary>
    public (int Start, int Count, int Step) Over(int length)
    {
        var stride = step ?? BigInteger.One;
        if (stride.IsZero) throw PythonError.Value("slice step cannot be zero");
        var backward = stride.Sign < 0;
        var first = Clamp(start, backward ? length - 1 : 0, length, backward);
        var last = Clamp(stop, backward ? -1 : length, length, backward);
        var by = stride > int.MaxValue ? int.MaxValue : stride < -int.MaxValue ? -int.MaxValue : (int)stride;
        var count = backward
            ? (last < first ? (first - last - 1) / -by + 1 : 0)
            : first < last ? (last - first - 1) / by + 1 : 0;
        return (count == 0 ? 0 : first, count, count <= 1 ? 1 : by);
    }

    private static int Clamp(BigInteger? part, int missing, int length, bool backward)
    {
        if (part is not { } value) return missing;
        if (value.Sign < 0) value += length;
        if (value.Sign < 0) return backward ? -1 : 0;
        return value >= length ? (backward ? length - 1 : length) : (int)value;
    }

    private static BigInteger? Part(object value) => value switch
    {
        None => null,
        _ when PyNumber.IsInteger(value) => PyNumber.Big(value),
        _ => throw PythonError.Type("slice indices must be integers or None or have an __index__ method"),
    };
}
