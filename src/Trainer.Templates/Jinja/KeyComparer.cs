using System.Numerics;
using System.Runtime.CompilerServices;

namespace Trainer.Templates.Jinja;

/// <summary>Python's equality and hash as a dictionary comparer: 1, 1.0 and True are one key; lists are no keys.</summary>
internal sealed class KeyComparer(Meter meter) : IEqualityComparer<object>
{
    public new bool Equals(object? left, object? right) => ReferenceEquals(left, right) || PyCompare.Equal(left!, right!, meter);

    public int GetHashCode(object value)
    {
        switch (value)
        {
            case string text: return text.GetHashCode(StringComparison.Ordinal);
            case Markup markup: return markup.Text.GetHashCode(StringComparison.Ordinal);
            case bool flag: return flag ? 1L.GetHashCode() : 0L.GetHashCode();
            case long number: return number.GetHashCode();
            case BigInteger big: return big.GetHashCode();
            case double real:
                if (Math.Floor(real) == real && Math.Abs(real) < 9e18) return ((long)real).GetHashCode();
                return Math.Floor(real) == real && !double.IsInfinity(real) ? new BigInteger(real).GetHashCode() : real.GetHashCode();
            case PyTuple tuple:
                meter.Step();
                var hash = new HashCode();
                foreach (var item in tuple.Items) hash.Add(GetHashCode(item));
                return hash.ToHashCode();
            case PyRange range: return range.Length.GetHashCode();
            case Undefined: return 7;
            case PyList or PyDict or DictView { IsKeys: true } or DictView { IsItems: true }:
                throw PythonError.Type($"unhashable type: '{PyText.TypeName(value)}'");
            default: return RuntimeHelpers.GetHashCode(value);
        }
    }
}
