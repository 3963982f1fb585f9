using System.Runtime.InteropServices;

namespace Trainer.Engine.Native;

/// <summary>The device that was asked for is not there, cannot be used, or failed while it computed.</summary>
public sealed class DeviceException : Exception
{
    private const string Lacking = "not currently implemented for the ";

    /// <summary>With the message for the user.</summary>
    public DeviceException(string message)
        : base(message)
    {
    }

    /// <summary>Whether a fault of libtorch's is the device's: a card that was lost or stopped, or an operation that Apple's lack. It says so in words
    /// alone.</summary>
    /// <param name="fault">Any fault.</param>
    public static bool Is(Exception fault) => fault is ExternalException
        && (fault.Message.Contains("CUDA error", StringComparison.Ordinal) || fault.Message.Contains(Lacking, StringComparison.Ordinal));

    /// <summary>Such a fault as a clause of one line, with what to do.</summary>
    /// <param name="fault">One that <see cref="Is"/>.</param>
    public static string Clause(Exception fault)
    {
        ArgumentNullException.ThrowIfNull(fault);
        // The first line says what; the others say where in libtorch, and whom to ask.
        var line = fault.Message.Split('\n')[0].Trim().TrimEnd('.');
        if (line.IndexOf(". ", StringComparison.Ordinal) is > 0 and var end) line = line[..end];
        return fault.Message.Contains(Lacking, StringComparison.Ordinal) ? $"{line}; leave --device out"
            : $"{line}; look at the card and its driver (nvidia-smi), or leave --device out";
    }
}
