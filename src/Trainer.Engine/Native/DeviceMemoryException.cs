using System.Globalization;
using System.Runtime.InteropServices;

namespace Trainer.Engine.Native;

/// <summary>A device's memory is full.</summary>
public sealed class DeviceMemoryException : Exception
{
    /// <summary>Makes the fault with a clause: what was wanted and what is held.</summary>
    /// <param name="message">The clause.</param>
    /// <param name="inner">What libtorch said, if it was asked.</param>
    public DeviceMemoryException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }

    /// <summary>Whether a fault is the end of a device's memory: ours, or libtorch's own word for it.</summary>
    /// <param name="fault">Any fault.</param>
    public static bool Is(Exception fault)
        => fault is DeviceMemoryException || (fault is ExternalException && fault.Message.Contains("out of memory", StringComparison.Ordinal));

    /// <summary>Such a fault as a clause of one line.</summary>
    /// <param name="fault">One that <see cref="Is"/>.</param>
    public static string Clause(Exception fault)
    {
        ArgumentNullException.ThrowIfNull(fault);
        // libtorch says what it wanted and what the card has in its first lines, and where in the others.
        return fault is DeviceMemoryException ? fault.Message : string.Join(' ', fault.Message.Split('\n').Take(1)).Trim().TrimEnd('.');
    }

    internal static string Amount(long bytes) => bytes < 1 << 20 ? string.Create(CultureInfo.InvariantCulture, $"{bytes} bytes")
        : string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1 << 20):0.0} MiB");
}
