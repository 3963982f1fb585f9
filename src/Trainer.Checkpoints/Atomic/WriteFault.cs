namespace Trainer.Checkpoints;

/// <summary>Turns what the system says about a failed write into a sentence with the reason and the way out.</summary>
internal static class WriteFault
{
    // errno values as .NET passes them on in HResult, with Windows' ERROR_DISK_FULL beside them.
    private const int NoSpace = 28, ReadOnlyPlace = 30, QuotaExceeded = 122, FileTooBig = 27, WindowsDiskFull = unchecked((int)0x80070070);

    internal static bool Covers(Exception fault) => fault is IOException or UnauthorizedAccessException;

    internal static CannotWriteException Of(string path, Exception fault)
    {
        string why = fault.HResult switch
        {
            NoSpace or WindowsDiskFull => "the disk is full; free some space or choose another folder with --output-dir",
            QuotaExceeded => "the disk quota is used up; free some space or choose another folder with --output-dir",
            ReadOnlyPlace => "the file system is read-only; choose another folder with --output-dir",
            FileTooBig => "the file would be larger than the file system or a limit allows; choose another folder with --output-dir",
            _ when fault is UnauthorizedAccessException => "no right to write there; change the rights or choose another folder with --output-dir",
            _ when fault is DirectoryNotFoundException => "the folder does not exist; make it or choose another with --output-dir",
            _ => $"{fault.Message.TrimEnd('.')}; check the disk or choose another folder with --output-dir",
        };
        return new CannotWriteException($"cannot write '{path}': {why}", fault);
    }
}
