using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints.Atomic;

/// <summary>Turns what the system says about a failed write into a sentence with the reason and the way out.</summary>
public static class WriteFault
{
    // errno values as .NET passes them on in HResult, with Windows' ERROR_DISK_FULL beside them.
    private const int NoSpace = 28, ReadOnlyPlace = 30, QuotaExceeded = 122, FileTooBig = 27, WindowsDiskFull = unchecked((int)0x80070070);

    /// <summary>Whether a fault is the system's answer to a write, and none of ours.</summary>
    public static bool Covers(Exception fault) => fault is IOException or UnauthorizedAccessException || IsTooLarge(fault);

    /// <summary>Whether a file would have become larger than <c>ulimit -f</c> or its file system allows (EFBIG), which .NET calls a wrong argument.</summary>
    public static bool IsTooLarge(Exception fault)
        => fault is ArgumentOutOfRangeException { ParamName: "value" } && fault.TargetSite?.Module.Name == typeof(File).Module.Name
        || fault is IOException { HResult: FileTooBig };

    /// <summary>The fault as a sentence: what cannot be written, why, and the way out.</summary>
    /// <param name="path">What was being written.</param>
    /// <param name="fault">What the system answered.</param>
    public static CannotWriteException Of(string path, Exception fault)
    {
        var why = fault.HResult switch
        {
            _ when IsTooLarge(fault) => "the file would be larger than its file system or 'ulimit -f' allows; raise the limit or choose another folder with "
                + "--output-dir",
            NoSpace or WindowsDiskFull => "the disk is full; free some space or choose another folder with --output-dir",
            QuotaExceeded => "the disk quota is used up; free some space or choose another folder with --output-dir",
            ReadOnlyPlace => "the file system is read-only; choose another folder with --output-dir",
            _ when fault is UnauthorizedAccessException => "no right to write there; change the rights or choose another folder with --output-dir",
            _ when fault is DirectoryNotFoundException => "the folder does not exist; make it or choose another with --output-dir",
            _ => $"{fault.Message.TrimEnd('.')}; check the disk or choose another folder with --output-dir",
        };
        return new CannotWriteException($"cannot write '{path}': {why}", fault);
    }
}
