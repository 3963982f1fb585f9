using System.Globalization;

namespace Trainer.Training.Options;

/// <summary>Bytes and durations as people write and read them.</summary>
public static class Quantities
{
    private static readonly (string Unit, double Bytes)[] Units =
    [
        ("TIB", 1L << 40), ("GIB", 1L << 30), ("MIB", 1L << 20), ("KIB", 1L << 10),
        ("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3),
        // A bare letter means the binary unit, as in `ulimit`, `docker --memory` and `dd`.
        ("T", 1L << 40), ("G", 1L << 30), ("M", 1L << 20), ("K", 1L << 10), ("B", 1), ("", 1),
    ];

    /// <summary>An amount of memory: 12GiB, 800MB, 1.5T; a bare number is bytes.</summary>
    public static bool TryBytes(string text, out long bytes)
    {
        bytes = 0;
        var upper = text.Trim().ToUpperInvariant();
        foreach (var (unit, factor) in Units)
        {
            if (!upper.EndsWith(unit, StringComparison.Ordinal)) continue;
            var digits = upper[..^unit.Length].Trim();
            if (!double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) || number * factor > long.MaxValue)
                return false;
            bytes = (long)(number * factor);
            return true;
        }
        return false;
    }

    /// <summary>The rate of a link as bytes a second: 10Gbit, 100Mbit/s, 25Gbps; or 1.2GB/s.</summary>
    public static bool TryRate(string text, out double bytesPerSecond)
    {
        bytesPerSecond = 0;
        var upper = text.Trim().ToUpperInvariant();
        if (upper.EndsWith("B/S", StringComparison.Ordinal) && TryBytes(upper[..^2], out var bytes)) bytesPerSecond = bytes;
        foreach (var ending in (string[])["BIT/S", "BITS/S", "BPS", "BIT"])
        {
            if (!upper.EndsWith(ending, StringComparison.Ordinal)) continue;
            var rest = upper[..^ending.Length];
            var factor = rest.Length == 0 ? 0 : rest[^1] switch { 'T' => 1e12, 'G' => 1e9, 'M' => 1e6, 'K' => 1e3, _ => 0 };
            if (factor > 0 && double.TryParse(rest[..^1], NumberStyles.AllowDecimalPoint | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture,
                out var number)) bytesPerSecond = number * factor / 8;
            break;
        }
        return bytesPerSecond > 0;
    }

    /// <summary>A time with units: 90s, 45m, 2h30m, 1d or hh:mm:ss.</summary>
    public static bool TryDuration(string text, out TimeSpan duration)
    {
        duration = TimeSpan.Zero;
        if (text.Contains(':')) return TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out duration);
        var seconds = 0.0;
        var number = "";
        foreach (var letter in text.Trim())
        {
            if (char.IsAsciiDigit(letter) || letter == '.')
            {
                number += letter;
                continue;
            }
            var factor = char.ToLowerInvariant(letter) switch { 's' => 1, 'm' => 60, 'h' => 3600, 'd' => 86400, _ => 0 };
            if (factor == 0 || !double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value)) return false;
            seconds += value * factor;
            number = "";
        }
        // A bare number is ambiguous (seconds, minutes, hours?), so it is not taken.
        if (number.Length > 0 || seconds is <= 0 or > 3.15e8) return false;
        duration = TimeSpan.FromSeconds(seconds);
        return true;
    }

    /// <summary>Bytes in the largest binary unit that fits.</summary>
    public static string Bytes(double bytes)
    {
        if (bytes >= 1L << 40) return (bytes / (1L << 40)).ToString("0.##", CultureInfo.InvariantCulture) + " TiB";
        if (bytes >= 1L << 30) return (bytes / (1L << 30)).ToString("0.##", CultureInfo.InvariantCulture) + " GiB";
        if (bytes >= 1L << 20) return (bytes / (1L << 20)).ToString("0.#", CultureInfo.InvariantCulture) + " MiB";
        if (bytes >= 1L << 10) return (bytes / (1L << 10)).ToString("0", CultureInfo.InvariantCulture) + " KiB";
        return bytes.ToString("0", CultureInfo.InvariantCulture) + " B";
    }

    /// <summary>Seconds as people say them: 42s, 3m05s, 2h10m.</summary>
    public static string Duration(double seconds)
    {
        if (!double.IsFinite(seconds) || seconds < 0) return "?";
        if (seconds < 60) return seconds.ToString(seconds < 10 ? "0.0" : "0", CultureInfo.InvariantCulture) + "s";
        var span = TimeSpan.FromSeconds(Math.Round(seconds));
        if (span.TotalHours < 1) return $"{span.Minutes}m{span.Seconds:00}s";
        return span.TotalDays < 1 ? $"{span.Hours}h{span.Minutes:00}m" : $"{(int)span.TotalDays}d{span.Hours:00}h";
    }

    /// <summary>A count with thin thousands: 1,234,567.</summary>
    public static string Count(long count) => count.ToString("#,0", CultureInfo.InvariantCulture);

    /// <summary>A number without needless digits.</summary>
    public static string Plain(double number)
        => number.ToString("G15", CultureInfo.InvariantCulture).Replace("E-0", "e-", StringComparison.Ordinal).Replace("E+", "e", StringComparison.Ordinal);
}
