using System.Diagnostics;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Runs;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Ground.Tests.Checkpoints;

[Trait("ring", "unit")]
public sealed class AtomicTests
{
    private static string[] Names(string folder) => [.. Directory.EnumerateFileSystemEntries(folder).Select(Path.GetFileName).Order(StringComparer.Ordinal)!];

    [Fact]
    public void A_file_that_reads_back_differently_leaves_the_old_one_in_its_place()
    {
        using var temp = new TempFolder();
        AtomicFile.WriteText(temp["a.txt"], "old");
        var fault = Assert.Throws<CannotWriteException>(() => AtomicFile.WriteBytes(temp["a.txt"], "new"u8, file => File.WriteAllText(file, "nex")));
        Assert.Contains("what was read back differs", fault.Message, StringComparison.Ordinal);
        Assert.Equal("old", File.ReadAllText(temp["a.txt"]));
        Assert.Single(Directory.EnumerateFileSystemEntries(temp.Path));
    }

    [Fact]
    public void A_file_is_replaced_whole_and_nothing_else_is_left()
    {
        using var temp = new TempFolder();
        AtomicFile.WriteText(temp["a"], "one");
        AtomicFile.WriteText(temp["a"], "two");
        Assert.Equal("two", File.ReadAllText(temp["a"]));
        Assert.Equal(["a"], Names(temp.Path));
    }

    [Fact]
    public void A_file_whose_writing_fails_keeps_its_old_text()
    {
        using var temp = new TempFolder();
        AtomicFile.WriteText(temp["a"], "one");
        Assert.Throws<CannotWriteException>(() => AtomicFile.Write(temp["a"], path => { File.WriteAllText(path, "half"); throw new IOException("broken"); }));
        Assert.Throws<ArithmeticException>(() => AtomicFile.Write(temp["a"], path => File.WriteAllText(path, "half"), _ => throw new ArithmeticException()));
        Assert.Equal("one", File.ReadAllText(temp["a"]));
        Assert.Equal(["a"], Names(temp.Path));
    }

    [Fact]
    public void A_folder_appears_whole_and_replaces_an_older_one()
    {
        using var temp = new TempFolder();
        AtomicFolder.Write(temp["m"], folder => File.WriteAllText(Path.Combine(folder, "x"), "1"));
        AtomicFolder.Write(temp["m"], folder => File.WriteAllText(Path.Combine(folder, "y"), "2"));
        Assert.Equal(["m"], Names(temp.Path));
        Assert.Equal(["y"], Names(temp["m"]));
    }

    [Fact]
    public void A_folder_whose_writing_fails_leaves_the_old_one_and_no_trace()
    {
        using var temp = new TempFolder();
        AtomicFolder.Write(temp["m"], folder => File.WriteAllText(Path.Combine(folder, "x"), "1"));
        Assert.Throws<CannotWriteException>(() => AtomicFolder.Write(temp["m"],
            folder => { File.WriteAllText(Path.Combine(folder, "x"), "half"); throw new IOException("broken"); }));
        Assert.Throws<BadFileException>(() => AtomicFolder.Write(temp["m"], folder => File.WriteAllText(Path.Combine(folder, "x"), "bad"),
            _ => throw new BadFileException("not right")));
        Assert.Equal("1", File.ReadAllText(temp["m", "x"]));
        Assert.Equal(["m"], Names(temp.Path));
    }

    [Fact]
    public void What_a_dead_process_left_is_cleaned_and_what_a_living_one_writes_stays()
    {
        using var temp = new TempFolder();
        var dead = DeadProcessId();
        temp.Write($".m.tmp-{dead}-abc/x", "half");
        temp.Write($".f.tmp-{dead}-abc", "half");
        temp.Write($".m.tmp-1-abc/x", "somebody is at it");
        temp.Write($".other", "not ours");
        temp.Write($".n.tmp-{Environment.ProcessId}-ofanearliercontainer/x", "same number, other process");
        Assert.Equal(3, AtomicFolder.CleanLeftovers(temp.Path).Count);
        Assert.Equal([".m.tmp-1-abc", ".other"], Names(temp.Path));
    }

    [Fact]
    public void A_folder_put_aside_for_one_that_never_came_is_put_back()
    {
        using var temp = new TempFolder();
        var dead = DeadProcessId();
        temp.Write($".m.old-{dead}-abc/.aside", "");
        temp.Write($".m.old-{dead}-abc/x", "1");
        temp.Write($".n.old-{dead}-abc/x", "half deleted");
        AtomicFolder.CleanLeftovers(temp.Path);
        Assert.Equal(["m"], Names(temp.Path));
        Assert.Equal(["x"], Names(temp["m"]));
    }

    [SkippableFact]
    public void A_full_disk_is_named_at_every_write_and_the_old_files_stay()
    {
        using var temp = new TempFolder();
        var disk = Directory.CreateDirectory(temp["disk"]).FullName;
        Skip.IfNot(OperatingSystem.IsLinux() && Run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk) == 0,
            "mounting a small disk needs rights that this user lacks");
        try
        {
            AtomicFile.WriteText(Path.Combine(disk, "a"), "one");
            CheckpointFolder.Write(disk, 1, "r", folder => File.WriteAllText(Path.Combine(folder, "x"), "1"));
            for (var size = 4; size <= 512; size += 36)
            {
                var filler = new byte[size << 10];
                Attempt(() => CheckpointFolder.Write(disk, 2, "r", folder =>
                {
                    File.WriteAllBytes(Path.Combine(folder, "big"), filler);
                    using var writer = SafetensorsWriter.Create(Path.Combine(folder, "w.safetensors"),
                        [new("w", SafetensorsDtype.U8, [size << 9])], null, verify: true);
                    writer.Write("w", filler.AsSpan(0, size << 9));
                    writer.Complete();
                }));
                Attempt(() => AtomicFile.WriteBytes(Path.Combine(disk, "a"), filler));
                foreach ((var step, var path) in CheckpointFolder.List(disk)) CheckpointFolder.Verify(path);
                Assert.DoesNotContain(Names(disk), name => name.StartsWith('.'));
            }
            Assert.Contains(1, CheckpointFolder.List(disk).Select(one => one.Step));
            var message = Assert.Throws<CannotWriteException>(() => AtomicFile.WriteBytes(Path.Combine(disk, "b"), new byte[1 << 20])).Message;
            Assert.Contains("the disk is full", message);
            Assert.Contains("needs 1.0 MiB",
                Assert.Throws<CannotWriteException>(() => DiskSpace.Require(Path.Combine(disk, "not", "yet"), 1 << 20, "a checkpoint")).Message);
        }
        finally
        {
            Run("umount", disk);
        }
    }

    [SkippableFact]
    public void A_read_only_disk_is_named()
    {
        using var temp = new TempFolder();
        var disk = Directory.CreateDirectory(temp["disk"]).FullName;
        Skip.IfNot(OperatingSystem.IsLinux() && Run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", disk) == 0,
            "mounting a read-only disk needs rights that this user lacks");
        try
        {
            Assert.Contains("read-only", Assert.Throws<CannotWriteException>(() => AtomicFile.WriteText(Path.Combine(disk, "a"), "x")).Message);
            Assert.Contains("read-only", Assert.Throws<CannotWriteException>(() => AtomicFolder.Write(Path.Combine(disk, "m"), _ => { })).Message);
            Assert.Contains("read-only", Assert.Throws<CannotWriteException>(() => RunLock.Acquire(disk)).Message);
        }
        finally
        {
            Run("umount", disk);
        }
    }

    private static void Attempt(Action write)
    {
        try
        {
            write();
        }
        catch (CannotWriteException fault)
        {
            Assert.Contains("the disk is full", fault.Message);
        }
    }

    private static int DeadProcessId()
    {
        using var process = Process.Start("true");
        process.WaitForExit();
        return process.Id;
    }

    private static int Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        process.WaitForExit();
        return process.ExitCode;
    }

    [Fact]
    public void The_next_writer_of_a_name_cleans_what_a_killed_one_left_of_it_and_nothing_else()
    {
        using var temp = new TempFolder();
        // No process has this number.
        string dead = temp.Write($".a.gguf.tmp-{int.MaxValue}-x", "half"), other = temp.Write($".b.gguf.tmp-{int.MaxValue}-x", "half");
        AtomicFile.WriteText(temp["a.gguf"], "whole");
        Assert.False(File.Exists(dead));
        Assert.True(File.Exists(other));
        var folder = Directory.CreateDirectory(temp[$".peft.tmp-{int.MaxValue}-x"]).FullName;
        AtomicFolder.Write(temp["peft"], path => File.WriteAllText(Path.Combine(path, "f"), "x"));
        Assert.False(Directory.Exists(folder));
    }
}
