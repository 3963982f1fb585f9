using System.Globalization;
using System.Text;

namespace Trainer.Templates.Jinja;

/// <summary>datetime.strftime in the C locale.</summary>
internal static class TimeFormat
{
    public static string Format(DateTime time, string format)
    {
        var text = new StringBuilder();
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 >= format.Length)
            {
                text.Append(format[i]);
                continue;
            }
            var code = format[++i];
            // glibc's flags: no padding, blanks, zeros.
            var flag = code is '-' or '_' or '0' && i + 1 < format.Length ? code : '\0';
            if (flag != '\0') code = format[++i];
            var part = Part(time, code);
            if (flag == '-' && part.Length > 1) part = part.TrimStart('0', ' ') is { Length: > 0 } trimmed ? trimmed : "0";
            if (flag == '_' && part.Length > 1) part = part.TrimStart('0').PadLeft(part.Length);
            text.Append(part);
        }
        return text.ToString();
    }

    private static string Part(DateTime time, char code) => code switch
    {
        'd' => Use(time, "dd"),
        'e' => time.Day.ToString(CultureInfo.InvariantCulture).PadLeft(2),
        'b' or 'h' => Use(time, "MMM"),
        'B' => Use(time, "MMMM"),
        'm' => Use(time, "MM"),
        'y' => Use(time, "yy"),
        'Y' => time.Year.ToString(CultureInfo.InvariantCulture),
        'C' => (time.Year / 100).ToString("00", CultureInfo.InvariantCulture),
        'a' => Use(time, "ddd"),
        'A' => Use(time, "dddd"),
        'w' => ((int)time.DayOfWeek).ToString(CultureInfo.InvariantCulture),
        'u' => (time.DayOfWeek == DayOfWeek.Sunday ? 7 : (int)time.DayOfWeek).ToString(CultureInfo.InvariantCulture),
        'j' => time.DayOfYear.ToString("000", CultureInfo.InvariantCulture),
        'H' => Use(time, "HH"),
        'I' => Use(time, "hh"),
        'k' => time.Hour.ToString(CultureInfo.InvariantCulture).PadLeft(2),
        'l' => ((time.Hour + 11) % 12 + 1).ToString(CultureInfo.InvariantCulture).PadLeft(2),
        'M' => Use(time, "mm"),
        'S' => Use(time, "ss"),
        'f' => Use(time, "ffffff"),
        'p' => time.Hour < 12 ? "AM" : "PM",
        'P' => time.Hour < 12 ? "am" : "pm",
        'D' => Use(time, "MM/dd/yy"),
        'F' => Use(time, "yyyy-MM-dd"),
        'T' => Use(time, "HH:mm:ss"),
        'R' => Use(time, "HH:mm"),
        'r' => Use(time, "hh:mm:ss") + (time.Hour < 12 ? " AM" : " PM"),
        'c' => $"{Use(time, "ddd MMM")} {time.Day.ToString(CultureInfo.InvariantCulture),2} {Use(time, "HH:mm:ss yyyy")}",
        'x' => Use(time, "MM/dd/yy"),
        'X' => Use(time, "HH:mm:ss"),
        'U' => ((time.DayOfYear + 6 - (int)time.DayOfWeek) / 7).ToString("00", CultureInfo.InvariantCulture),
        'W' => ((time.DayOfYear + 6 - ((int)time.DayOfWeek + 6) % 7) / 7).ToString("00", CultureInfo.InvariantCulture),
        'G' => ISOWeek.GetYear(time).ToString(CultureInfo.InvariantCulture),
        'V' => ISOWeek.GetWeekOfYear(time).ToString("00", CultureInfo.InvariantCulture),
        's' => new DateTimeOffset(time).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
        'z' or 'Z' => "",
        'n' => "\n",
        't' => "\t",
        '%' => "%",
        _ => "%" + code,
    };

    private static string Use(DateTime time, string format) => time.ToString(format, CultureInfo.InvariantCulture);
}
