using System.Globalization;
using System.Numerics;
using System.Text;

namespace Trainer.Templates.Jinja;

/// <summary>Python's bool, int (of any size) and float.</summary>
internal static class PyNumber
{
    private const int LargestBits = 1 << 20;
    private const int LargestDigits = 4300; // CPython's own limit of int to str and back

    private static readonly object[] Small = Enumerable.Range(-16, 1040).Select(n => (object)(long)n).ToArray();

    public static readonly object True = true;
    public static readonly object False = false;

    public static object Flag(bool value) => value ? True : False;

    public static object Of(long value) => value is >= -16 and < 1024 ? Small[value + 16] : value;

    public static object Normal(BigInteger value) => value >= long.MinValue && value <= long.MaxValue ? Of((long)value) : value;

    public static bool IsNumber(object value) => value is long or bool or double or BigInteger;

    public static bool IsInteger(object value) => value is long or bool or BigInteger;

    public static BigInteger Big(object value) => value switch
    {
        long number => number,
        bool flag => flag ? 1 : 0,
        BigInteger big => big,
        _ => throw PythonError.Type($"'{PyText.TypeName(value)}' object cannot be interpreted as an integer"),
    };

    public static double Real(object value) => value switch
    {
        double real => real,
        long number => number,
        bool flag => flag ? 1 : 0,
        BigInteger big => FromBig(big),
        _ => throw PythonError.Type($"must be real number, not {PyText.TypeName(value)}"),
    };

    private static double FromBig(BigInteger big)
    {
        var real = (double)big;
        return double.IsInfinity(real) ? throw new PythonError("OverflowError", "int too large to convert to float") : real;
    }

    /// <summary>An index for a string or list; values beyond the machine's are cut to a sentinel that is out of every range.</summary>
    public static int Index(object value)
    {
        var big = Big(value);
        return big > int.MaxValue ? int.MaxValue : big < -int.MaxValue ? -int.MaxValue : (int)big;
    }

    /// <summary>Exact order of two numbers; NaN is not equal to anything.</summary>
    public static int Compare(object left, object right)
    {
        if (left is long a && right is long b) return a.CompareTo(b);
        if (left is double || right is double)
        {
            if (left is double m && right is double n) return double.IsNaN(m) || double.IsNaN(n) ? int.MaxValue : m.CompareTo(n);
            var real = left is double ? (double)left : (double)right;
            if (double.IsNaN(real)) return int.MaxValue;
            var whole = Big(left is double ? right : left);
            var sign = double.IsInfinity(real) ? (real > 0 ? -1 : 1) : CompareExact(whole, real);
            return left is double ? -sign : sign;
        }
        return Big(left).CompareTo(Big(right));
    }

    private static int CompareExact(BigInteger whole, double real)
    {
        var floor = Math.Floor(real);
        var order = whole.CompareTo(new BigInteger(floor));
        return order != 0 ? order : floor < real ? -1 : 0;
    }

    /// <summary>Arithmetic of two numbers.</summary>
    public static object Calculate(string sign, object left, object right, Meter meter)
    {
        if (left is double || right is double) return OfReals(sign, Real(left), Real(right));
        if (left is long a && right is long b && sign.Length == 1)
        {
            if (sign == "+" && !Overflows(a, b, a + b)) return Of(a + b);
            if (sign == "-" && !Overflows(a, ~b, a - b)) return Of(a - b);
        }
        var (x, y) = (Big(left), Big(right));
        switch (sign)
        {
            case "+": return Normal(x + y);
            case "-": return Normal(x - y);
            case "*":
                CheckBits(x.GetBitLength() + y.GetBitLength(), meter);
                return Normal(x * y);
            case "/":
                if (y.IsZero) throw new PythonError("ZeroDivisionError", "division by zero");
                return TrueDivide(x, y);
            case "//":
            case "%":
                if (y.IsZero) throw new PythonError("ZeroDivisionError", sign == "%" ? "integer modulo by zero" : "integer division or modulo by zero");
                var quotient = BigInteger.DivRem(x, y, out var rest);
                var adjust = !rest.IsZero && rest.Sign < 0 != y.Sign < 0;
                return Normal(sign == "%" ? (adjust ? rest + y : rest) : adjust ? quotient - 1 : quotient);
            default: return Power(x, y, meter);
        }
    }

    private static bool Overflows(long left, long right, long sum) => ((left ^ sum) & (right ^ sum)) < 0;

    private static void CheckBits(long bits, Meter meter)
    {
        if (bits > LargestBits) throw PythonError.Limit("an integer grew beyond a million bits");
        meter.Spend(bits * bits / 4096);
    }

    private static double TrueDivide(BigInteger x, BigInteger y)
    {
        if (BigInteger.Abs(x) < 1L << 53 && BigInteger.Abs(y) < 1L << 53) return (double)x / (double)y;
        // Scale so that the quotient has 64 or more bits, then let the last bit stand for the rest: one rounding.
        var shift = (int)(y.GetBitLength() - x.GetBitLength() + 66);
        var quotient = BigInteger.DivRem(shift > 0 ? BigInteger.Abs(x) << shift : BigInteger.Abs(x),
            shift > 0 ? BigInteger.Abs(y) : BigInteger.Abs(y) << -shift, out var rest);
        if (!rest.IsZero) quotient |= 1;
        var value = Math.ScaleB((double)quotient, -shift);
        if (double.IsInfinity(value)) throw new PythonError("OverflowError", "integer division result too large for a float");
        return x.Sign < 0 != y.Sign < 0 ? -value : value;
    }

    private static object Power(BigInteger x, BigInteger y, Meter meter)
    {
        if (y.Sign < 0)
        {
            if (x.IsZero) throw new PythonError("ZeroDivisionError", "0.0 cannot be raised to a negative power");
            return OfReals("**", FromBig(x), FromBig(y));
        }
        if (x.IsOne || x.IsZero || x == BigInteger.MinusOne) return Normal(x.IsOne || (x.IsZero && !y.IsZero) ? x : y.IsEven ? 1 : x);
        if (y > LargestBits) throw PythonError.Limit("an integer grew beyond a million bits");
        CheckBits(x.GetBitLength() * (long)y, meter);
        return Normal(BigInteger.Pow(x, (int)y));
    }

    private static double OfReals(string sign, double x, double y)
    {
        switch (sign)
        {
            case "+": return x + y;
            case "-": return x - y;
            case "*": return x * y;
            case "/": return y == 0 ? throw new PythonError("ZeroDivisionError", "float division by zero") : x / y;
            case "//":
            case "%":
                if (y == 0) throw new PythonError("ZeroDivisionError", sign == "%" ? "float modulo" : "float floor division by zero");
                var rest = x % y;
                if (sign == "%")
                {
                    if (rest == 0) return Math.CopySign(0, y);
                    return rest < 0 != y < 0 ? rest + y : rest;
                }
                var divided = (x - rest) / y;
                if (rest != 0 && rest < 0 != y < 0) divided -= 1;
                if (divided == 0) return Math.CopySign(0, x / y);
                var floor = Math.Floor(divided);
                return divided - floor > 0.5 ? floor + 1 : floor;
            default:
                if (x == 0 && y < 0) throw new PythonError("ZeroDivisionError", "0.0 cannot be raised to a negative power");
                if (x < 0 && Math.Floor(y) != y && !double.IsInfinity(x) && !double.IsInfinity(y)) throw PythonError.Limit("a complex number is not supported");
                var power = x == 1 ? 1 : x == -1 && double.IsInfinity(y) ? 1 : Math.Pow(x, y);
                if (double.IsInfinity(power) && !double.IsInfinity(x) && !double.IsInfinity(y))
                    throw new PythonError("OverflowError", "(34, 'Numerical result out of range')");
                return power;
        }
    }

    public static object Negate(object value) => value switch
    {
        double real => -real,
        _ => Normal(-Big(value)),
    };

    public static string IntText(BigInteger value)
    {
        if (BigInteger.Abs(value).GetBitLength() > 14_300)
            throw PythonError.Value($"Exceeds the limit ({LargestDigits} digits) for integer string conversion; use sys.set_int_max_str_digits() to increase "
                + "the limit");
        return value.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>repr(float): the shortest digits that read back, exponent form below 1e-4 and from 1e16 on.</summary>
    public static string FloatText(double value)
    {
        if (double.IsNaN(value)) return "nan";
        if (double.IsInfinity(value)) return value > 0 ? "inf" : "-inf";
        var (negative, digits, exponent) = Digits(value);
        var text = new StringBuilder(negative ? "-" : "");
        if (exponent is < -4 or >= 16)
        {
            text.Append(digits[0]);
            if (digits.Length > 1) text.Append('.').Append(digits, 1, digits.Length - 1);
            return text.Append('e').Append(exponent < 0 ? '-' : '+').Append(Math.Abs(exponent).ToString("00", CultureInfo.InvariantCulture)).ToString();
        }
        if (exponent < 0) return text.Append("0.").Append('0', -exponent - 1).Append(digits).ToString();
        if (digits.Length <= exponent + 1) return text.Append(digits).Append('0', exponent + 1 - digits.Length).Append(".0").ToString();
        return text.Append(digits, 0, exponent + 1).Append('.').Append(digits, exponent + 1, digits.Length - exponent - 1).ToString();
    }

    /// <summary>Shortest significant digits and the power of ten of the first.</summary>
    public static (bool Negative, string Digits, int Exponent) Digits(double value)
    {
        var text = value.ToString("E16", CultureInfo.InvariantCulture);
        var shortest = value.ToString("R", CultureInfo.InvariantCulture);
        var negative = text[0] == '-';
        var exponent = 0;
        var at = shortest.IndexOf('E', StringComparison.Ordinal);
        if (at >= 0)
        {
            exponent = int.Parse(shortest.AsSpan(at + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
            shortest = shortest[..at];
        }
        shortest = shortest.TrimStart('-');
        var point = shortest.IndexOf('.', StringComparison.Ordinal);
        var whole = point < 0 ? shortest : shortest[..point];
        var digits = point < 0 ? whole : whole + shortest[(point + 1)..];
        exponent += whole.Length - 1;
        var leading = digits.Length - digits.TrimStart('0').Length;
        if (leading == digits.Length) return (negative, "0", 0);
        digits = digits[leading..].TrimEnd('0');
        return (negative, digits, exponent - leading);
    }

    /// <summary>int(text, base) or null where Python raises ValueError.</summary>
    public static object? ParseInt(string text, int radix)
    {
        var span = PyString.Strip(text).AsSpan();
        var negative = span.Length > 0 && span[0] == '-';
        if (span.Length > 0 && span[0] is '-' or '+') span = span[1..];
        var prefix = span.Length > 1 && span[0] == '0' ? char.ToLowerInvariant(span[1]) switch { 'x' => 16, 'o' => 8, 'b' => 2, _ => 0 } : 0;
        if (prefix != 0 && radix == 0) radix = prefix;
        else if (radix == 0)
        {
            radix = 10;
            if (span.Length > 1 && span[0] == '0' && span.TrimStart("0_").Length > 0) return null;
        }
        else if (prefix != radix) prefix = 0;
        if (prefix != 0)
        {
            span = span[2..];
            if (span.Length > 0 && span[0] == '_') span = span[1..];
        }
        if (span.Length == 0 || span[0] == '_' || span[^1] == '_' || span.IndexOf("__") >= 0) return null;
        if (span.Length > LargestDigits) return null;
        var value = BigInteger.Zero;
        foreach (var c in span)
        {
            if (c == '_') continue;
            var digit = char.IsAsciiDigit(c) ? c - '0' : char.IsAsciiLetter(c) ? char.ToLowerInvariant(c) - 'a' + 10
                : char.IsDigit(c) ? (int)char.GetNumericValue(c) : 99;
            if (digit >= radix) return null;
            value = value * radix + digit;
        }
        return Normal(negative ? -value : value);
    }

    /// <summary>float(text) or null where Python raises ValueError.</summary>
    public static double? ParseFloat(string text)
    {
        var trimmed = PyString.Strip(text);
        if (trimmed.Length == 0 || trimmed.Contains("__", StringComparison.Ordinal)) return null;
        switch (trimmed.TrimStart('+', '-').ToLowerInvariant())
        {
            case "inf" or "infinity" when trimmed.Length - trimmed.TrimStart('+', '-').Length <= 1:
                return trimmed[0] == '-' ? double.NegativeInfinity : double.PositiveInfinity;
            case "nan" when trimmed.Length - trimmed.TrimStart('+', '-').Length <= 1: return double.NaN;
        }
        for (var i = 0; i < trimmed.Length; i++)
        {
            if (trimmed[i] == '_' && (i == 0 || i == trimmed.Length - 1 || !char.IsAsciiDigit(trimmed[i - 1]) || !char.IsAsciiDigit(trimmed[i + 1])))
                return null;
            if (!(char.IsAsciiDigit(trimmed[i]) || trimmed[i] is '+' or '-' or '.' or 'e' or 'E' or '_')) return null;
        }
        const NumberStyles Style = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        return double.TryParse(trimmed.Replace("_", "", StringComparison.Ordinal), Style, CultureInfo.InvariantCulture, out var value) ? value : null;
    }
}
