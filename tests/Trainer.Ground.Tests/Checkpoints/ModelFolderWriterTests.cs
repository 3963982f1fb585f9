using Trainer.Checkpoints;
using Trainer.Checkpoints.Folders;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Ground.Tests.Checkpoints;

public sealed class ModelFolderWriterTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_kill_after_the_last_shard_costs_no_shard()
    {
        var target = _folder["m"];
        Assert.Equal(3, Write(target, onFinish: _ => Copy(ModelFolderWriter.WorkFolder(target), _folder["killed"])));
        var expected = Bytes(target);
        Assert.Equal(["m", "killed"], Names());
        // As a kill leaves it: everything written, the list of it still there, the name not given.
        Directory.Delete(target, recursive: true);
        Directory.Move(_folder["killed"], ModelFolderWriter.WorkFolder(target));
        Assert.Equal(0, Write(target));
        Assert.Equal(expected, Bytes(target));
        Assert.Equal(["m"], Names());
    }

    [Fact]
    public void A_rename_that_fails_costs_no_shard()
    {
        var target = _folder["m"];
        // A file that comes in the way at the last moment.
        Assert.Throws<CannotWriteException>(() => Write(target, onFinish: _ => File.WriteAllText(target, "")));
        File.Delete(target);
        Assert.Equal(0, Write(target));
        Assert.Equal(["m"], Names());
    }

    [Fact]
    public void A_kill_after_the_folder_got_its_name_leaves_a_whole_folder_and_a_shell_that_the_next_command_takes_away()
    {
        var target = _folder["m"];
        Write(target, onFinish: _ => Copy(ModelFolderWriter.WorkFolder(target), _folder["killed"]));
        Directory.Delete(Path.Combine(_folder["killed"], "model"), recursive: true);
        Directory.Move(_folder["killed"], ModelFolderWriter.WorkFolder(target));
        Assert.Equal(["config.json", "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors",
            "model.safetensors.index.json"], Bytes(target).Keys);
        var message = Assert.Throws<CannotWriteException>(() => Write(target)).Message;
        Assert.Contains("exists already", message, StringComparison.Ordinal);
        Assert.Equal(["m"], Names());
        // The shell of a folder that was deleted since is no beginning of a new one.
        Write(_folder["n"], onFinish: _ => Copy(ModelFolderWriter.WorkFolder(_folder["n"]), _folder["killed"]));
        Directory.Delete(Path.Combine(_folder["killed"], "model"), recursive: true);
        Directory.Delete(_folder["n"], recursive: true);
        Directory.Move(_folder["killed"], ModelFolderWriter.WorkFolder(_folder["n"]));
        Assert.Equal(3, Write(_folder["n"]));
    }

    [Fact]
    public void A_folder_under_other_conditions_is_begun_anew()
    {
        var target = _folder["m"];
        Assert.Throws<OperationCanceledException>(() => Write(target, onFinish: _ => throw new OperationCanceledException()));
        Assert.Equal(3, Write(target, identity: "other"));
        Assert.Equal(["m"], Names());
    }

    private static int Write(string target, string identity = "one", Action<string>? onFinish = null)
    {
        var made = 0;
        ModelFolderWriter.Write(new ModelFolderPlan
        {
            Target = target,
            Groups = [.. Enumerable.Range(0, 3).Select(i => new TensorGroup($"t{i}", [new TensorDeclaration($"t{i}", SafetensorsDtype.U8, [8])]))],
            Identity = identity,
            MaxShardBytes = 10,
        }, (group, sink) =>
        {
            made++;
            sink.Write(group.Tensors[0], [.. Enumerable.Repeat((byte)group.Name[1], 8)]);
        }, folder =>
        {
            File.WriteAllText(Path.Combine(folder, "config.json"), "{}");
            onFinish?.Invoke(folder);
        });
        return made;
    }

    private static SortedDictionary<string, string> Bytes(string folder) => new(Directory.GetFiles(folder)
        .ToDictionary(file => Path.GetFileName(file), file => Convert.ToHexString(File.ReadAllBytes(file))), StringComparer.Ordinal);

    private IEnumerable<string> Names() => Directory.GetFileSystemEntries(_folder.Path).Select(path => Path.GetFileName(path)!).OrderDescending();

    private static void Copy(string from, string to)
    {
        foreach (var file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            // The lock of a dead process is an unlocked file; ours cannot be opened while it is held.
            if (Path.GetFileName(file) == "run.lock") File.WriteAllText(copy, "{}");
            else File.Copy(file, copy);
        }
    }
}
