using System.Globalization;
using System.Text;

namespace Trainer.Templates.Jinja;

/// <summary>A float in the forms e, f, g and %, rounded as C does.</summary>
internal static class RealText
{
    /// <param name="value">Not negative.</param>
    /// <param name="type">e, f, g, their capitals, %, or NUL for repr's form.</param>
    /// <param name="precision">-1 where not given.</param>
    /// <param name="alternate">Keep the point and trailing zeros.</param>
    public static string Format(double value, char type, int precision, bool alternate = false)
    {
        if (!double.IsFinite(value))
        {
            var name = double.IsNaN(value) ? "nan" : "inf";
            return type is 'E' or 'F' or 'G' ? name.ToUpperInvariant() : type == '%' ? name + "%" : name;
        }
        if (precision > 100_000) throw PythonError.Limit("a precision beyond 100000 digits");
        switch (type)
        {
            case 'f' or 'F': return Fixed(value, precision < 0 ? 6 : precision, alternate);
            case '%': return Fixed(value * 100, precision < 0 ? 6 : precision, alternate) + "%";
            case 'e' or 'E': return Scientific(value, precision < 0 ? 6 : precision, type, alternate);
            case 'g' or 'G': return General(value, precision, type, alternate, shortest: false);
            default: return precision < 0 ? PyNumber.FloatText(value) : General(value, precision, 'g', alternate, shortest: true);
        }
    }

    private static string Fixed(double value, int precision, bool alternate) =>
        value.ToString("F" + precision.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture) + (alternate && precision == 0 ? "." : "");

    private static string Scientific(double value, int precision, char letter, bool alternate)
    {
        var (digits, exponent) = Rounded(value, precision + 1);
        var text = new StringBuilder().Append(digits[0]);
        if (precision > 0 || alternate) text.Append('.').Append(digits, 1, digits.Length - 1);
        return text.Append(letter).Append(exponent < 0 ? '-' : '+').Append(Math.Abs(exponent).ToString("00", CultureInfo.InvariantCulture)).ToString();
    }

    private static string General(double value, int precision, char letter, bool alternate, bool shortest)
    {
        if (precision < 0) precision = 6;
        if (precision == 0) precision = 1;
        var (digits, exponent) = Rounded(value, precision);
        var limit = shortest ? precision - 1 : precision;
        if (!alternate) digits = digits.TrimEnd('0');
        if (digits.Length == 0) digits = "0";
        var mark = letter is 'G' or 'E' ? 'E' : 'e';
        if (exponent < -4 || exponent >= Math.Max(limit, shortest ? 1 : 0) && (shortest ? exponent >= limit : exponent >= precision))
        {
            var mantissa = digits.Length > 1 ? digits[..1] + "." + digits[1..] : alternate ? digits + "." : digits;
            return mantissa + mark + (exponent < 0 ? '-' : '+') + Math.Abs(exponent).ToString("00", CultureInfo.InvariantCulture);
        }
        string text;
        if (exponent < 0) text = "0." + new string('0', -exponent - 1) + digits;
        else if (digits.Length <= exponent + 1) text = digits.PadRight(exponent + 1, '0') + (alternate ? "." : "");
        else text = digits[..(exponent + 1)] + "." + digits[(exponent + 1)..];
        return shortest && !text.Contains('.', StringComparison.Ordinal) ? text + ".0" : text;
    }

    /// <summary>This many significant digits and the power of ten of the first.</summary>
    private static (string Digits, int Exponent) Rounded(double value, int count)
    {
        var text = value.ToString("E" + (count - 1).ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        var at = text.IndexOf('E', StringComparison.Ordinal);
        return (text[..at].Replace(".", "", StringComparison.Ordinal), int.Parse(text.AsSpan(at + 1), NumberStyles.AllowLeadingSign,
            CultureInfo.InvariantCulture));
    }
}
