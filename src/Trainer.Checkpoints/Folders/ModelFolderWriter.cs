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
/// or not at all, and continued where it was when the work was broken off. The unfinished folder is ".NAME.partial" beside the target.
/// </summary>
public static class ModelFolderWriter
{
    private const string StateFile = "partial.json";

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
        if (File.Exists(target) || (Directory.Exists(target) && Directory.EnumerateFileSystemEntries(target).Any()))
            throw new CannotWriteException($"cannot write '{plan.Target}': it exists already; delete it or choose another --output-dir");
        var work = Path.Combine(Path.GetDirectoryName(target)!, $".{Path.GetFileName(target)}.partial");
        try
        {
            Directory.CreateDirectory(work);
            using (RunLock.Acquire(work))
            {
                try
                {
                    WriteShards(plan, work, produce, cancel);
                    finish(work);
                }
                catch (Exception fault) when (fault is not (OperationCanceledException or CannotWriteException) && !WriteFault.Covers(fault))
                {
                    // What the data forbids will not come right when it is continued.
                    Directory.Delete(work, recursive: true);
                    throw;
                }
                File.Delete(Path.Combine(work, StateFile));
            }
            AtomicFolder.Flush(work);
            ShardedModel.Open(work).Dispose();
            if (Directory.Exists(target)) Directory.Delete(target);
            Directory.Move(work, target);
            NativeFile.FlushFolder(Path.GetDirectoryName(target)!);
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            throw WriteFault.Of(plan.Target, fault);
        }
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

    private static void WriteShards(ModelFolderPlan plan, string work, Action<TensorGroup, TensorSink> produce, CancellationToken cancel)
    {
        var shards = Shards(plan.Groups, plan.MaxShardBytes);
        var done = Begin(plan, work, shards.Count);
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
            string name = Name(i, shards.Count), path = Path.Combine(work, name);
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
            File.WriteAllText(Path.Combine(work, ShardedModel.IndexFile), PythonJson.Serialize(root) + "\n");
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
    private static HashSet<string> Begin(ModelFolderPlan plan, string work, int count)
    {
        AtomicFolder.CleanLeftovers(work);
        var path = Path.Combine(work, StateFile);
        try
        {
            if (File.Exists(path) && JsonNode.Parse(SmallFile.Bytes(path)) is JsonObject state && (string?)state["identity"] == Identity(plan, count))
                return [.. ((JsonArray)state["done"]!).Select(static name => (string)name!).Where(name => File.Exists(Path.Combine(work, name)))];
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException)
        {
            // Unreadable: begin anew.
        }
        foreach (var remains in Directory.EnumerateFiles(work).Where(static file => Path.GetFileName(file) != RunLock.FileName))
            File.Delete(remains);
        Save(plan, work, count, []);
        return [];
    }

    private static string Identity(ModelFolderPlan plan, int count)
        => $"{plan.Identity} shards {count} of {plan.MaxShardBytes} groups {plan.Groups.Count} bytes {plan.Groups.Sum(static group => group.ByteCount)}";

    private static void Save(ModelFolderPlan plan, string work, int count, IEnumerable<string> done) => AtomicFile.WriteText(Path.Combine(work, StateFile),
        PythonJson.Serialize(new JsonObject { ["identity"] = Identity(plan, count),
        ["done"] = new JsonArray([.. done.Order(StringComparer.Ordinal).Select(static name => (JsonNode)name)]) }) + "\n");
}
