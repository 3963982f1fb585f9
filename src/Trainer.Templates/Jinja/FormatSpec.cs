using System.Globalization;
using System.Numerics;
using System.Text;

namespace Trainer.Templates.Jinja;

/// <summary>Python's format specification: <c>[[fill]align][sign][z][#][0][width][grouping][.precision][type]</c>.</summary>
internal sealed class FormatSpec
{
    private string _fill = " ";
    private char _align;
    private char _sign = '-';
    private bool _alternate;
    private bool _zero;
    private int _width;
    private char _grouping;
    private int _precision = -1;
    private char _type;

    public static string Format(object value, string spec, Meter meter)
    {
        if (spec.Length == 0) return PyText.Str(value, meter);
        if (!PyNumber.IsNumber(value) && PyText.AsText(value) is null)
            throw PythonError.Type($"unsupported format string passed to {PyText.TypeName(value)}.__format__");
        var format = Parse(spec, value);
        meter.Spend(Math.Max(format._width, format._precision));
        return value switch
        {
            double real => format.OfReal(real, meter),
            bool when format._type == '\0' && format._align == '\0' && !format._zero && format._sign == '-' && format._grouping == '\0' =>
                format.OfInteger(PyNumber.Big(value), meter),
            long or BigInteger or bool => format._type is 'e' or 'E' or 'f' or 'F' or 'g' or 'G' or '%'
                ? format.OfReal(PyNumber.Real(value), meter) : format.OfInteger(PyNumber.Big(value), meter),
            _ => format.OfText(PyText.AsText(value)!, meter),
        };
    }

    private static FormatSpec Parse(string spec, object value)
    {
        var format = new FormatSpec();
        var letters = PyString.Letters(spec).ToArray();
        var at = 0;
        if (letters.Length > 1 && letters[1] is "<" or ">" or "=" or "^")
        {
            format._fill = letters[0];
            format._align = letters[1][0];
            at = 2;
        }
        else if (letters[0] is "<" or ">" or "=" or "^") format._align = letters[at++][0];
        if (at < letters.Length && letters[at] is "+" or "-" or " ") format._sign = letters[at++][0];
        if (at < letters.Length && letters[at] == "z") at++;
        if (at < letters.Length && letters[at] == "#")
        {
            format._alternate = true;
            at++;
        }
        if (at < letters.Length && letters[at] == "0" && format._align == '\0')
        {
            format._zero = true;
            at++;
        }
        format._width = Number(letters, ref at);
        if (at < letters.Length && letters[at] is "," or "_") format._grouping = letters[at++][0];
        if (at < letters.Length && letters[at] == ".")
        {
            at++;
            var start = at;
            format._precision = Number(letters, ref at);
            if (at == start) throw PythonError.Value("Format specifier missing precision");
        }
        if (letters.Length - at > 1) throw PythonError.Value($"Invalid format specifier '{spec}' for object of type '{PyText.TypeName(value)}'");
        if (at < letters.Length) format._type = letters[at][0];
        return format;
    }

    private static int Number(string[] letters, ref int at)
    {
        var value = 0L;
        for (; at < letters.Length && letters[at].Length == 1 && char.IsAsciiDigit(letters[at][0]); at++)
        {
            value = value * 10 + letters[at][0] - '0';
            if (value > int.MaxValue) throw PythonError.Value("Too many decimal digits in format string");
        }
        return (int)value;
    }

    private string OfText(string text, Meter meter)
    {
        if (_type is not ('\0' or 's')) throw Unknown("str");
        if (_sign != '-') throw PythonError.Value("Sign not allowed in string format specifier");
        if (_align == '=') throw PythonError.Value("'=' alignment not allowed in string format specifier");
        if (_grouping != '\0') throw PythonError.Value($"Cannot specify '{_grouping}' with 's'.");
        if (_precision >= 0) text = text[..PyString.Offset(text, _precision)];
        return PyString.Pad(text, _width, _zero ? "0" : _fill, _align is '\0' ? '<' : _align, meter);
    }

    private string OfInteger(BigInteger value, Meter meter)
    {
        if (_precision >= 0) throw PythonError.Value("Precision not allowed in integer format specifier");
        var magnitude = BigInteger.Abs(value);
        string digits, prefix = "";
        switch (_type)
        {
            case '\0' or 'd' or 'n': digits = PyNumber.IntText(magnitude); break;
            case 'c':
                if (_sign != '-') throw PythonError.Value("Sign not allowed with integer format specifier 'c'");
                if (value.Sign < 0 || value > 0x10ffff) throw new PythonError("OverflowError", "%c arg not in range(0x110000)");
                return PyString.Pad(Character((int)value), _width, _zero ? "0" : _fill, _align is '\0' or '=' ? '<' : _align, meter);
            case 'x' or 'X' or 'o' or 'b':
                digits = InBase(magnitude, _type);
                if (_alternate) prefix = "0" + _type;
                break;
            default: throw Unknown("int");
        }
        if (_grouping == ',' && (_type is 'x' or 'X' or 'o' or 'b')) throw PythonError.Value($"Cannot specify ',' with '{_type}'.");
        return Join(value.Sign < 0, prefix, digits, "", meter);
    }

    public static string Character(int point) => point is >= 0xd800 and < 0xe000 ? ((char)point).ToString() : char.ConvertFromUtf32(point);

    public static string InBase(BigInteger magnitude, char type)
    {
        var text = type switch
        {
            'x' => magnitude.ToString("x", CultureInfo.InvariantCulture),
            'X' => magnitude.ToString("X", CultureInfo.InvariantCulture),
            'b' => magnitude.ToString("b", CultureInfo.InvariantCulture),
            _ => Octal(magnitude),
        };
        text = text.TrimStart('0');
        return text.Length == 0 ? "0" : text;
    }

    private static string Octal(BigInteger magnitude)
    {
        var bits = magnitude.ToString("b", CultureInfo.InvariantCulture);
        bits = bits.PadLeft((bits.Length + 2) / 3 * 3, '0');
        var text = new StringBuilder(bits.Length / 3);
        for (var i = 0; i < bits.Length; i += 3) text.Append((char)('0' + (bits[i] - '0') * 4 + (bits[i + 1] - '0') * 2 + bits[i + 2] - '0'));
        return text.ToString();
    }

    private string OfReal(double value, Meter meter)
    {
        if (_type is not ('\0' or 'e' or 'E' or 'f' or 'F' or 'g' or 'G' or 'n' or '%')) throw Unknown("float");
        var negative = value < 0 || (value == 0 && double.IsNegative(value));
        var text = RealText.Format(Math.Abs(value), _type == 'n' ? 'g' : _type, _precision, _alternate);
        var end = 0;
        while (end < text.Length && char.IsAsciiDigit(text[end])) end++;
        return Join(negative, "", text[..end], text[end..], meter);
    }

    /// <summary>Sign, prefix, grouped and padded digits, rest.</summary>
    private string Join(bool negative, string prefix, string digits, string rest, Meter meter)
    {
        var sign = negative ? "-" : _sign == '-' ? "" : _sign.ToString();
        var size = _type is 'x' or 'X' or 'o' or 'b' ? 4 : 3;
        var room = _width - sign.Length - prefix.Length - rest.Length;
        var zeros = _zero || (_align == '=' && _fill == "0");
        if (zeros && _grouping == '\0' && digits.Length < room) digits = digits.PadLeft(room, '0');
        if (_grouping != '\0')
        {
            if (zeros)
                while (digits.Length + (digits.Length - 1) / size < room) digits = "0" + digits;
            var grouped = new StringBuilder();
            for (var i = 0; i < digits.Length; i++)
            {
                if (i > 0 && (digits.Length - i) % size == 0) grouped.Append(_grouping);
                grouped.Append(digits[i]);
            }
            digits = grouped.ToString();
        }
        if (_align == '=' && !zeros) return sign + prefix + PyString.Pad(digits + rest, _width - sign.Length - prefix.Length, _fill, '>', meter);
        return PyString.Pad(sign + prefix + digits + rest, _width, _fill, _align is '\0' or '=' ? '>' : _align, meter);
    }

    private PythonError Unknown(string type) => PythonError.Value($"Unknown format code '{_type}' for object of type '{type}'");
}
