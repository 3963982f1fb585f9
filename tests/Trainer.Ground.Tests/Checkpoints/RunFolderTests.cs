using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Json;
using Trainer.Checkpoints.Runs;

namespace Trainer.Ground.Tests.Checkpoints;

[Trait("ring", "unit")]
public sealed class RunFolderTests
{
    private static Checkpoint Write(TempFolder temp, long step) =>
        CheckpointFolder.Write(temp.Path, step, "run-1", folder => File.WriteAllText(Path.Combine(folder, "adapter.bin"), $"weights of {step}"));

    private static string Fault(string path) => Assert.Throws<BadFileException>(() => CheckpointFolder.Verify(path)).Message;

    [Fact]
    public void A_second_writer_is_refused_with_the_name_of_the_first()
    {
        using var temp = new TempFolder();
        using (var first = RunLock.Acquire(temp.Path))
        {
            Assert.Null(first.TookOverFrom);
            var message = Assert.Throws<CannotWriteException>(() => RunLock.Acquire(temp.Path)).Message;
            Assert.Contains($"trainer process {Environment.ProcessId} on '{Environment.MachineName}'", message);
        }
        Assert.False(File.Exists(temp[RunLock.FileName]));
        using var second = RunLock.Acquire(temp.Path);
        Assert.Null(second.TookOverFrom);
    }

    [Fact]
    public void The_lock_of_a_dead_writer_is_taken_over_and_told()
    {
        using var temp = new TempFolder();
        temp.Write(RunLock.FileName, """{"pid":123456,"host":"elsewhere","started":"2026-01-02T03:04:05+00:00","token":"x"}""");
        using var taken = RunLock.Acquire(temp.Path);
        Assert.Equal(new RunLockOwner(123456, "elsewhere", new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero)), taken.TookOverFrom);
    }

    [Fact]
    public void A_lock_file_that_is_rubbish_is_no_obstacle()
    {
        using var temp = new TempFolder();
        temp.Write(RunLock.FileName, "{half");
        using var taken = RunLock.Acquire(temp.Path);
        Assert.Null(taken.TookOverFrom);
    }

    [Fact]
    public void Only_one_of_many_that_try_at_once_gets_the_lock()
    {
        using var temp = new TempFolder();
        int inside = 0, taken = 0;
        var shared = false;
        Parallel.For(0, 64, new ParallelOptions { MaxDegreeOfParallelism = 8 }, _ =>
        {
            try
            {
                using var mine = RunLock.Acquire(temp.Path);
                shared |= Interlocked.Increment(ref inside) != 1;
                Interlocked.Increment(ref taken);
                Thread.Yield();
                Interlocked.Decrement(ref inside);
            }
            catch (CannotWriteException)
            {
                // Refused, as it should be while another is inside.
            }
        });
        Assert.False(shared);
        Assert.True(taken > 0);
    }

    [Fact]
    public void A_checkpoint_is_written_listed_and_verified()
    {
        using var temp = new TempFolder();
        Write(temp, 200);
        Write(temp, 100);
        Directory.CreateDirectory(temp["checkpoint-x"]);
        Directory.CreateDirectory(temp["checkpoint-007"]);
        Assert.Equal([100L, 200L], CheckpointFolder.List(temp.Path).Select(one => one.Step));
        var found = CheckpointFolder.Verify(temp["checkpoint-200"]);
        Assert.Equal((200, "run-1"), (found.Step, found.RunId));
        Assert.Equal(["adapter.bin"], found.Files);
    }

    [Fact]
    public void A_flipped_bit_a_missing_file_and_a_short_file_are_named()
    {
        using var temp = new TempFolder();
        string path = Write(temp, 5).Path, file = Path.Combine(path, "adapter.bin");
        var bytes = File.ReadAllBytes(file);
        bytes[3] ^= 4;
        File.WriteAllBytes(file, bytes);
        Assert.Contains("file 'adapter.bin' are not those that were written", Fault(path));
        File.WriteAllBytes(file, bytes[..4]);
        Assert.Contains("file 'adapter.bin' has 4 bytes", Fault(path));
        File.Delete(file);
        Assert.Contains("file 'adapter.bin' is missing", Fault(path));
    }

    [Fact]
    public void A_checkpoint_whose_bytes_change_on_the_way_to_the_disk_never_gets_its_name()
    {
        using var temp = new TempFolder();
        Write(temp, 3);
        var fault = Assert.Throws<BadFileException>(() => CheckpointFolder.Write(temp.Path, 6, "run-1",
            folder => File.WriteAllText(Path.Combine(folder, "adapter.bin"), "weights"),
            folder => File.WriteAllText(Path.Combine(folder, "adapter.bin"), "weightz")));
        Assert.Contains("'adapter.bin' are not those that were written", fault.Message, StringComparison.Ordinal);
        Assert.Equal(["checkpoint-3"], Directory.EnumerateFileSystemEntries(temp.Path).Select(Path.GetFileName));
    }

    [Fact]
    public void Manifests_that_are_foreign_older_newer_or_broken_are_told_apart()
    {
        using var temp = new TempFolder();
        string path = Write(temp, 5).Path, manifest = Path.Combine(path, CheckpointFolder.ManifestFile), good = File.ReadAllText(manifest);
        File.WriteAllText(manifest, good.Replace("trainer-checkpoint", "something", StringComparison.Ordinal));
        Assert.Contains("of another program", Fault(path));
        File.WriteAllText(manifest, good.Replace("\"schema\": 1", "\"schema\": 0", StringComparison.Ordinal));
        Assert.Contains("an older version (layout 0", Fault(path));
        File.WriteAllText(manifest, good.Replace("\"schema\": 1", "\"schema\": 9", StringComparison.Ordinal));
        Assert.Contains("a newer version (layout 9", Fault(path));
        File.WriteAllText(manifest, good.Replace("\"step\": 5", "\"step\": 6", StringComparison.Ordinal));
        Assert.Contains("that of step 6", Fault(path));
        File.WriteAllText(manifest, good.Replace("adapter.bin", "../secret", StringComparison.Ordinal));
        Assert.Contains("not the plain name of a file", Fault(path));
        File.WriteAllText(manifest, good[..30]);
        Assert.Contains("cannot be read", Fault(path));
        File.Delete(manifest);
        Assert.Contains("has no manifest.json", Fault(path));
        File.WriteAllText(Path.Combine(path, "optimizer.pt"), "");
        Assert.Contains("written by transformers", Fault(path));
    }

    [Fact]
    public void The_newest_whole_checkpoint_is_found_behind_damaged_ones()
    {
        using var temp = new TempFolder();
        Assert.Null(CheckpointFolder.NewestWhole(temp.Path).Newest);
        Write(temp, 1);
        Write(temp, 2);
        File.AppendAllText(Path.Combine(Write(temp, 3).Path, "adapter.bin"), "!");
        var choice = CheckpointFolder.NewestWhole(temp.Path);
        Assert.Equal(2, choice.Newest!.Step);
        var damaged = Assert.Single(choice.Damaged);
        Assert.EndsWith("checkpoint-3", damaged.Path);
        Assert.Contains("adapter.bin", damaged.Why);
    }

    [Theory]
    [InlineData(2, null, "4,5")]
    [InlineData(3, 1L, "1,4,5")]
    [InlineData(1, 2L, "2,5")]
    [InlineData(1, 5L, "5")]
    [InlineData(null, 2L, "1,2,3,4,5")]
    [InlineData(0, 2L, "1,2,3,4,5")]
    [InlineData(9, null, "1,2,3,4,5")]
    public void Rotation_keeps_the_newest_and_the_best(int? limit, long? best, string left)
    {
        using var temp = new TempFolder();
        for (var step = 1; step <= 5; step++) Write(temp, step);
        CheckpointFolder.Rotate(temp.Path, limit, best);
        Assert.Equal(left, string.Join(',', CheckpointFolder.List(temp.Path).Select(one => one.Step)));
        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(temp.Path), path => Path.GetFileName(path).StartsWith('.'));
    }

    [Fact]
    public void A_state_file_of_transformers_is_written_again_byte_for_byte()
    {
        var original = File.ReadAllText(Fixture.Path("checkpoints", "trainer_state.json"));
        var state = TrainerState.Read(Fixture.Path("checkpoints", "trainer_state.json"));
        Assert.Equal(10, state.LogHistory.Count);
        var expected = (JsonObject)JsonNode.Parse(original)!;
        expected["stateful_callbacks"] = new JsonObject();
        Assert.Equal(PythonJson.Serialize(JsonNode.Parse(original)) + "\n", original);
        Assert.Equal(PythonJson.Serialize(expected) + "\n", state.ToJson());
    }

    [Fact]
    public void A_state_file_that_is_broken_is_named()
    {
        using var temp = new TempFolder();
        Assert.Contains("no global_step", Assert.Throws<BadFileException>(() => TrainerState.Read(temp.Write("s.json", "{}"))).Message);
        Assert.Throws<BadFileException>(() => TrainerState.Read(temp.Write("s.json", "{\"global_step\":\"x\"}")));
        Assert.Throws<BadFileException>(() => TrainerState.Read(temp["none"]));
    }

    [Theory]
    [InlineData(0.0, "0.0")]
    [InlineData(-0.0, "-0.0")]
    [InlineData(1.0, "1.0")]
    [InlineData(100.0, "100.0")]
    [InlineData(2e-5, "2e-05")]
    [InlineData(0.0001, "0.0001")]
    [InlineData(0.00012345, "0.00012345")]
    [InlineData(-3.806023374435663e-05, "-3.806023374435663e-05")]
    [InlineData(1e15, "1000000000000000.0")]
    [InlineData(1e16, "1e+16")]
    [InlineData(1.5e300, "1.5e+300")]
    [InlineData(690278400.0, "690278400.0")]
    [InlineData(6.3416337966918945, "6.3416337966918945")]
    [InlineData(1e23, "1e+23")]
    [InlineData(double.NaN, "null")]
    public void Floats_are_spelled_as_Python_spells_them(double value, string text) => Assert.Equal(text, PythonJson.Number(value));
}
