using System.Text;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Trainer.Checkpoints.Atomic;

namespace Trainer.Checkpoints.Runs;

/// <summary>
/// One writer to a run folder. The file run.lock is locked by the kernel while its owner lives, so a kill frees it at once, and says who that is.
/// </summary>
public sealed class RunLock : IDisposable
{
    /// <summary>Name of the lock file in the run folder.</summary>
    public const string FileName = "run.lock";

    private static readonly string[] NetworkFileSystems = ["nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "fuse", "fuseblk", "9p", "lustre", "gpfs", "beegfs",
        "ceph", "afs"];

    private readonly string _path;
    private FileStream? _stream;

    private RunLock(string path, FileStream stream, RunLockOwner? tookOver)
    {
        _path = path;
        _stream = stream;
        TookOverFrom = tookOver;
    }

    /// <summary>The dead writer whose lock was found, or null after an orderly end.</summary>
    public RunLockOwner? TookOverFrom { get; }

    /// <summary>Takes the lock of an existing folder.</summary>
    /// <exception cref="CannotWriteException">Another trainer writes there, perhaps on another machine; or the folder cannot be written.</exception>
    public static RunLock Acquire(string runFolder, TimeProvider? clock = null)
    {
        var path = Path.Combine(runFolder, FileName);
        // A round is lost when the former owner removes the file between our opening and our locking it.
        for (var round = 0; round < 16; round++)
        {
            FileStream stream;
            if (RegularFile.IsOther(path))
                throw new CannotWriteException($"cannot write '{path}': it is no regular file; delete it, or choose another --output-dir");
            try
            {
                stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, OperatingSystem.IsWindows() ? FileShare.Read : FileShare.None,
                    bufferSize: 1);
            }
            catch (IOException fault) when (IsLocked(fault) && round < 8)
            {
                // Whoever asks whether a run is going on holds it for a moment.
                Thread.Sleep(25);
                continue;
            }
            catch (IOException fault) when (IsLocked(fault))
            {
                throw InUse(runFolder, ReadOwner(path));
            }
            catch (Exception fault) when (WriteFault.Covers(fault))
            {
                throw WriteFault.Of(path, fault);
            }
            var taken = TryTake(runFolder, path, stream, clock ?? TimeProvider.System);
            if (taken is not null) return taken;
        }
        throw InUse(runFolder, ReadOwner(path));
    }

    /// <summary>Whether another process of this machine holds the lock of a folder now.</summary>
    public static bool IsHeld(string runFolder)
    {
        try
        {
            using var stream = new FileStream(Path.Combine(runFolder, FileName), FileMode.Open, FileAccess.ReadWrite, FileShare.None, bufferSize: 1);
            return false;
        }
        catch (IOException fault)
        {
            return IsLocked(fault);
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>Frees the folder.</summary>
    public void Dispose()
    {
        var stream = Interlocked.Exchange(ref _stream, null);
        if (stream is null) return;
        // Removed while still locked: nobody can take a file that is about to vanish without noticing.
        if (!OperatingSystem.IsWindows()) TryDelete(_path);
        stream.Dispose();
        if (OperatingSystem.IsWindows()) TryDelete(_path);
    }

    private static RunLock? TryTake(string runFolder, string path, FileStream stream, TimeProvider clock)
    {
        var keep = false;
        try
        {
            var former = Parse(ReadAll(stream));
            if (former is not null && former.Host != Environment.MachineName && IsNetwork(path))
                throw InUse(runFolder, former);
            var mine = JsonSerializer.SerializeToUtf8Bytes(new { pid = Environment.ProcessId, host = Environment.MachineName,
                started = clock.GetUtcNow().ToString("O"), token = Guid.NewGuid().ToString("n") });
            stream.SetLength(0);
            stream.Write(mine);
            stream.Flush(flushToDisk: true);
            var seen = ReadUnlocked(path);
            keep = seen is null || seen.AsSpan().SequenceEqual(mine);
            return keep ? new RunLock(path, stream, former) : null;
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            throw WriteFault.Of(path, fault);
        }
        finally
        {
            if (!keep) stream.Dispose();
        }
    }

    private static CannotWriteException InUse(string runFolder, RunLockOwner? owner)
    {
        var who = owner is null ? "another trainer"
            : $"trainer process {owner.ProcessId} on '{owner.Host}' (since {owner.StartedUtc:yyyy-MM-dd HH:mm:ss} UTC)";
        var toDo = owner is null || owner.Host == Environment.MachineName ? "wait for it, stop it, or choose another --output-dir"
            : $"stop it there, or delete '{Path.Combine(runFolder, FileName)}' if that machine no longer runs it, or choose another --output-dir";
        return new CannotWriteException($"cannot write '{runFolder}': {who} is writing there; {toDo}");
    }

    // EWOULDBLOCK of Linux and macOS, ERROR_SHARING_VIOLATION of Windows.
    private static bool IsLocked(IOException fault) => fault.HResult is 11 or 35 || (fault.HResult & 0xFFFF) == 32;

    private static bool IsNetwork(string path)
    {
        try
        {
            var format = new DriveInfo(Path.GetFullPath(path)).DriveFormat;
            return NetworkFileSystems.Any(name => format.StartsWith(name, StringComparison.OrdinalIgnoreCase));
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return true;
        }
    }

    private static RunLockOwner? ReadOwner(string path)
    {
        var bytes = ReadUnlocked(path);
        return bytes is null ? null : Parse(bytes);
    }

    private static byte[]? ReadUnlocked(string path)
    {
        try
        {
            using var handle = OperatingSystem.IsWindows()
                ? File.OpenHandle(path, share: FileShare.ReadWrite | FileShare.Delete) : NativeFile.OpenRead(path);
            if (handle is null) return [];
            using var stream = new FileStream(handle, FileAccess.Read, bufferSize: 1);
            return ReadAll(stream);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static byte[] ReadAll(FileStream stream)
    {
        stream.Position = 0;
        var copy = new MemoryStream();
        stream.CopyTo(copy);
        return copy.ToArray();
    }

    private static RunLockOwner? Parse(byte[] bytes)
    {
        try
        {
            using var document = JsonDocument.Parse(Encoding.UTF8.GetString(bytes));
            var root = document.RootElement;
            return new RunLockOwner(root.GetProperty("pid").GetInt32(), root.GetProperty("host").GetString() ?? "?",
                root.GetProperty("started").GetDateTimeOffset());
        }
        catch (Exception fault) when (fault is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            // A lock file that stays behind is recognised as stale by the next writer.
        }
    }
}
