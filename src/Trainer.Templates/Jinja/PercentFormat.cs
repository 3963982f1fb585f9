using System.Globalization;
using System.Numerics;
using System.Text;

namespace Trainer.Templates.Jinja;

/// <summary>The <c>%</c> operator of strings.</summary>
internal static class PercentFormat
{
    public static object Apply(object format, object values, Run run)
    {
        var text = Expand(PyText.AsText(format)!, values, run, format is Markup);
        return format is Markup ? new Markup(text) : text;
    }

    public static string Ascii(string text)
    {
        var result = new StringBuilder();
        foreach (var letter in PyString.Letters(text))
        {
            var point = letter.Length == 2 ? char.ConvertToUtf32(letter, 0) : letter[0];
            if (point < 128) result.Append(letter);
            else
                result.Append(point < 0x100 ? "\\x" : point < 0x10000 ? "\\u" : "\\U").Append(point.ToString(point < 0x100
                    ? "x2" : point < 0x10000 ? "x4" : "x8", CultureInfo.InvariantCulture));
        }
        return result.ToString();
    }

    private static string Expand(string format, object values, Run run, bool escapes)
    {
        var meter = run.Meter;
        var result = new StringBuilder();
        var tuple = values as PyTuple;
        var mapping = values is PyDict or PyList or PyRange or Undefined ? values : null;
        var used = 0;
        var named = false;
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%')
            {
                result.Append(format[i]);
                continue;
            }
            object? item = null;
            if (++i < format.Length && format[i] == '(')
            {
                if (values is not PyDict dict) throw PythonError.Type("format requires a mapping");
                var depth = 1;
                var start = ++i;
                for (; i < format.Length && depth > 0; i++) depth += format[i] == '(' ? 1 : format[i] == ')' ? -1 : 0;
                if (depth > 0) throw PythonError.Value("incomplete format key");
                var key = format[start..(i - 1)];
                item = dict.Items.TryGetValue(key, out var found) ? found : throw new PythonError("KeyError", PyText.Repr(key, meter));
                named = true;
            }
            var flags = "";
            for (; i < format.Length && format[i] is '-' or '+' or ' ' or '#' or '0'; i++) flags += format[i];
            var width = Size(format, ref i, NextValue);
            if (width < 0)
            {
                flags += "-";
                width = -width;
            }
            var precision = -1;
            if (i < format.Length && format[i] == '.')
            {
                i++;
                precision = Math.Max(0, Size(format, ref i, NextValue));
            }
            if (i < format.Length && format[i] is 'l' or 'h' or 'L') i++;
            if (i >= format.Length) throw PythonError.Value("incomplete format");
            if (format[i] == '%' && format[i - 1] == '%')
            {
                result.Append('%');
                continue;
            }
            meter.Spend(Math.Max(width, precision));
            result.Append(One(format[i], item ?? NextValue(), flags, width, precision, i, meter, escapes));
            meter.Spend(result.Length);
        }
        var rest = tuple is null ? used == 0 && mapping is null && !named : used < tuple.Items.Length && !named;
        if (rest && !(tuple is null && values is PyDict)) throw PythonError.Type("not all arguments converted during string formatting");
        return result.ToString();

        object NextValue()
        {
            if (tuple is null ? used > 0 : used >= tuple.Items.Length) throw PythonError.Type("not enough arguments for format string");
            used++;
            return tuple is null ? values : tuple.Items[used - 1];
        }
    }

    private static int Size(string format, ref int at, Func<object> next)
    {
        if (at < format.Length && format[at] == '*')
        {
            at++;
            var value = next();
            return PyNumber.IsInteger(value) ? PyNumber.Index(value) : throw PythonError.Type("* wants int");
        }
        var size = 0L;
        for (; at < format.Length && char.IsAsciiDigit(format[at]); at++)
        {
            size = size * 10 + format[at] - '0';
            if (size > int.MaxValue) throw PythonError.Value("width too big");
        }
        return (int)size;
    }

    private static string One(char type, object value, string flags, int width, int precision, int at, Meter meter, bool escapes)
    {
        var left = flags.Contains('-', StringComparison.Ordinal);
        var alternate = flags.Contains('#', StringComparison.Ordinal);
        string text;
        switch (type)
        {
            case 's' or 'r' or 'a':
                text = type == 's' ? PyText.Str(value, meter) : type == 'r' ? PyText.Repr(value, meter) : Ascii(PyText.Repr(value, meter));
                if (escapes && !(type == 's' && value is Markup)) text = Markup.Escape(text);
                if (precision >= 0) text = text[..PyString.Offset(text, precision)];
                return PyString.Pad(text, width, " ", left ? '<' : '>', meter);
            case 'c':
                text = PyText.AsText(value) is { } letter && PyString.Length(letter) == 1 ? letter
                    : PyNumber.IsInteger(value) && PyNumber.Big(value) is var point && point.Sign >= 0 && point <= 0x10ffff ? FormatSpec.Character((int)point)
                    : throw PythonError.Type("%c requires int or char");
                return PyString.Pad(text, width, " ", left ? '<' : '>', meter);
            case 'd' or 'i' or 'u' or 'x' or 'X' or 'o':
                if (value is Undefined missing && (type is 'd' or 'i' or 'u')) throw missing.Error(meter);
                if (!PyNumber.IsNumber(value) || (value is double && (type is 'x' or 'X' or 'o')))
                    throw PythonError.Type($"%{type} format: {(type is 'x' or 'X' or 'o' ? "an integer is required" : "a real number is required")}, not "
                        + $"{PyText.TypeName(value)}");
                var whole = value is double real ? Truncate(real) : PyNumber.Big(value);
                var digits = type is 'x' or 'X' or 'o' ? FormatSpec.InBase(BigInteger.Abs(whole), type) : PyNumber.IntText(BigInteger.Abs(whole));
                if (precision >= 0) digits = digits.PadLeft(precision, '0');
                return Signed(whole.Sign < 0, alternate && (type is 'x' or 'X' or 'o') ? "0" + type : "", digits);
            case 'e' or 'E' or 'f' or 'F' or 'g' or 'G':
                if (value is Undefined undefined) throw undefined.Error(meter);
                if (!PyNumber.IsNumber(value)) throw PythonError.Type($"must be real number, not {PyText.TypeName(value)}");
                var number = PyNumber.Real(value);
                return Signed(double.IsNegative(number) && !double.IsNaN(number), "",
                    RealText.Format(Math.Abs(number), type, precision < 0 ? 6 : precision, alternate));
            default:
                throw PythonError.Value($"unsupported format character '{type}' (0x{(int)type:x}) at index {at}");
        }

        string Signed(bool negative, string prefix, string digits)
        {
            var sign = negative ? "-" : flags.Contains('+', StringComparison.Ordinal) ? "+" : flags.Contains(' ', StringComparison.Ordinal) ? " " : "";
            if (flags.Contains('0', StringComparison.Ordinal) && !left) digits = digits.PadLeft(Math.Max(0, width - sign.Length - prefix.Length), '0');
            return PyString.Pad(sign + prefix + digits, width, " ", left ? '<' : '>', meter);
        }
    }

    public static BigInteger Truncate(double real)
    {
        if (double.IsNaN(real)) throw PythonError.Value("cannot convert float NaN to integer");
        return double.IsInfinity(real) ? throw new PythonError("OverflowError", "cannot convert float infinity to integer") : new BigInteger(real);
    }
}
