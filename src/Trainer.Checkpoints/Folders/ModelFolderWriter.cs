using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Json;
using Trainer.Checkpoints.Runs;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints.Folders;

/// <summary>
/// Writes a Hugging Face model folder of any size with one group of tensors in memory at a time: shards and index in the official layout, whole
/// or not at all, and continued where it was when the work was broken off. Until the end it lies in ".NAME.partial" beside the target, with a lock and the
/// list of what is done around it, so that it gets its name by one rename and a kill at any moment loses one shard at most.
/// </summary>
public static class ModelFolderWriter
{
    private const string StateFile = "partial.json", MadeFolder = "model";

    /// <summary>Makes the folder.</summary>
    /// <param name="plan">What it will hold.</param>
    /// <param name="produce">Makes the tensors of a group; called group by group in the order of the plan, and not at all for shards that are done.</param>
    /// <param name="finish">Writes the other files (config, tokenizer) into the folder it is given.</param>
    /// <param name="cancel">Looked at before each group; what is done is kept.</param>
    /// <exception cref="CannotWriteException">The target exists, the disk is full or read-only, or another process is at it.</exception>
    public static void Write(ModelFolderPlan plan, Action<TensorGroup, TensorSink> produce, Action<string> finish, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(produce);
        ArgumentNullException.ThrowIfNull(finish);
        var target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(plan.Target));
        var work = WorkFolder(target);
        RequireFree(plan.Target, target, work);
        try
        {
            Directory.CreateDirectory(work);
            using (RunLock.Acquire(work))
            {
                // Another process may have been faster by a moment.
                RequireFree(plan.Target, target, work);
                var made = Path.Combine(work, MadeFolder);
                try
                {
                    WriteShards(plan, work, made, produce, cancel);
                    finish(made);
                }
                catch (Exception fault) when (fault is not (OperationCanceledException or CannotWriteException) && !WriteFault.Covers(fault))
                {
                    // What the data forbids will not come right when it is continued.
                    Directory.Delete(work, recursive: true);
                    throw;
                }
                AtomicFolder.Flush(made);
                ShardedModel.Open(made).Dispose();
                if (Directory.Exists(target)) Directory.Delete(target);
                Directory.Move(made, target);
                NativeFile.FlushFolder(Path.GetDirectoryName(target)!);
            }
            RemoveShell(work);
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            throw WriteFault.Of(plan.Target, fault);
        }
    }

    /// <summary>Where a folder lies until it is whole.</summary>
    /// <param name="target">The folder to be made.</param>
    public static string WorkFolder(string target)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(target));
        return Path.Combine(Path.GetDirectoryName(full)!, $".{Path.GetFileName(full)}.partial");
    }

    /// <summary>Lays groups over shards as the official library does: in order, a new shard when the next group would not fit.</summary>
    public static IReadOnlyList<IReadOnlyList<TensorGroup>> Shards(IReadOnlyList<TensorGroup> groups, long maxShardBytes)
    {
        ArgumentNullException.ThrowIfNull(groups);
        var shards = new List<List<TensorGroup>>();
        long filled = 0;
        foreach (var group in groups)
        {
            if (shards.Count == 0 || filled + group.ByteCount > maxShardBytes)
            {
                shards.Add([]);
                filled = 0;
            }
            shards[^1].Add(group);
            filled += group.ByteCount;
        }
        return shards;
    }

    private static void WriteShards(ModelFolderPlan plan, string work, string made, Action<TensorGroup, TensorSink> produce, CancellationToken cancel)
    {
        var shards = Shards(plan.Groups, plan.MaxShardBytes);
        var done = Begin(plan, work, made, shards.Count);
        long total = plan.Groups.Sum(static group => group.ByteCount), bytes = 0,
            largest = shards.Max(static shard => shard.Sum(static group => group.ByteCount));
        var isSpooled = plan.Groups.Any(static group => !group.IsExact);
        DiskSpace.Require(work,
            total - shards.Where((_, i) => done.Contains(Name(i, shards.Count))).SelectMany(static shard => shard).Sum(static group => group.ByteCount)
            + (isSpooled ? largest : 0), "the model");
        var index = new JsonObject();
        long tensorBytes = 0;
        for (var i = 0; i < shards.Count; i++)
        {
            string name = Name(i, shards.Count), path = Path.Combine(made, name);
            if (!done.Contains(name))
            {
                WriteShard(plan, shards[i], path, produce, group => plan.Progress?.Invoke(bytes += group.ByteCount, total), cancel);
                done.Add(name);
                Save(plan, work, shards.Count, done);
            }
            else plan.Progress?.Invoke(bytes += shards[i].Sum(static group => group.ByteCount), total);
            using var file = SafetensorsFile.Open(path);
            foreach (var entry in file.Entries)
            {
                index[entry.Name] = name;
                tensorBytes += entry.ByteCount;
            }
        }
        if (shards.Count > 1)
        {
            var root = new JsonObject { ["metadata"] = new JsonObject { ["total_size"] = tensorBytes }, ["weight_map"] = index };
            File.WriteAllText(Path.Combine(made, ShardedModel.IndexFile), PythonJson.Serialize(root) + "\n");
        }
    }

    private static string Name(int shard, int count) => count == 1 ? ShardedModel.SingleFile : $"model-{shard + 1:00000}-of-{count:00000}.safetensors";

    private static void WriteShard(ModelFolderPlan plan, IReadOnlyList<TensorGroup> groups, string path, Action<TensorGroup, TensorSink> produce,
        Action<TensorGroup> finished, CancellationToken cancel)
    {
        void Produce(TensorSink sink)
        {
            foreach (var group in groups)
            {
                cancel.ThrowIfCancellationRequested();
                produce(group, sink);
                finished(group);
            }
        }
        AtomicFile.Write(path, temporary =>
        {
            if (groups.All(static group => group.IsExact))
            {
                using var writer = SafetensorsWriter.Create(temporary, groups.SelectMany(static group => group.Tensors),
                    SafetensorsWriter.PyTorchMetadata, plan.Verify);
                Produce(new DirectSink(writer));
                writer.Complete();
            }
            else
            {
                using var spool = new SpoolSink(path + ".spool");
                Produce(spool);
                using var writer = SafetensorsWriter.Create(temporary, spool.Tensors, SafetensorsWriter.PyTorchMetadata, plan.Verify);
                spool.CopyTo(writer);
                writer.Complete();
            }
        });
    }

    // What an earlier, broken-off work under the same identity has finished; the remains of any other are removed.
    private static HashSet<string> Begin(ModelFolderPlan plan, string work, string made, int count)
    {
        AtomicFolder.CleanLeftovers(work);
        AtomicFolder.CleanLeftovers(made);
        var path = Path.Combine(work, StateFile);
        try
        {
            if (Directory.Exists(made) && File.Exists(path) && JsonNode.Parse(SmallFile.Bytes(path)) is JsonObject state
                && (string?)state["identity"] == Identity(plan, count))
                return [.. ((JsonArray)state["done"]!).Select(static name => (string)name!).Where(name => File.Exists(Path.Combine(made, name)))];
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException)
        {
            // Unreadable: begin anew.
        }
        foreach (var remains in Directory.EnumerateFiles(work).Where(static file => Path.GetFileName(file) != RunLock.FileName))
            File.Delete(remains);
        foreach (var remains in Directory.EnumerateDirectories(work)) Directory.Delete(remains, recursive: true);
        Directory.CreateDirectory(made);
        Save(plan, work, count, []);
        return [];
    }

    private static void RequireFree(string named, string target, string work)
    {
        if (!File.Exists(target) && !(Directory.Exists(target) && Directory.EnumerateFileSystemEntries(target).Any())) return;
        RemoveShell(work);
        throw new CannotWriteException($"cannot write '{named}': it exists already; delete it or choose another --output-dir");
    }

    // What was around a folder that has got its name: the list and the lock. A kill may leave them, and the next command takes them away.
    private static void RemoveShell(string work)
    {
        if (!Directory.Exists(work) || Directory.Exists(Path.Combine(work, MadeFolder)) || RunLock.IsHeld(work)) return;
        try
        {
            foreach (var file in Directory.EnumerateFiles(work)) File.Delete(file);
            Directory.Delete(work);
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            // The folder itself is whole, and this is in nobody's way.
        }
    }

    private static string Identity(ModelFolderPlan plan, int count)
        => $"{plan.Identity} shards {count} of {plan.MaxShardBytes} groups {plan.Groups.Count} bytes {plan.Groups.Sum(static group => group.ByteCount)}";

    private static void Save(ModelFolderPlan plan, string work, int count, IEnumerable<string> done) => AtomicFile.WriteText(Path.Combine(work, StateFile),
        PythonJson.Serialize(new JsonObject { ["identity"] = Identity(plan, count),
        ["done"] = new JsonArray([.. done.Order(StringComparer.Ordinal).Select(static name => (JsonNode)name)]) }) + "\n");
}
