using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Runs;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Weights.Stored;
using Trainer.Models;
using Trainer.Models.Config;
using Trainer.Models.Families;
using Trainer.Models.Parts;

namespace Trainer.Engine.Gguf;

/// <summary>
/// A GGUF model laid out once as the folder that transformers would have: config.json, tokenizer, template, and the tensors under their names there. Quantized
/// matrices keep the file's blocks byte for byte (<see cref="GgufLayout"/>), so they are neither rounded again nor larger; llama.cpp's orders and shifts are
/// undone by moving whole rows.
/// </summary>
public static class GgufFolder
{
    /// <summary>The folder of a file, made now if it is not there.</summary>
    /// <param name="path">The .gguf file.</param>
    /// <param name="cache">Where such folders lie; each file's is named by its path, length, time and samples of its bytes.</param>
    /// <param name="making">Told the folder before it is made; null tells nobody.</param>
    /// <exception cref="ModelException">The file is not read: architecture, tensor or key are named.</exception>
    /// <exception cref="BadFileException">It is damaged, or its tokenizer is not read.</exception>
    /// <exception cref="CannotWriteException">The cache cannot be written.</exception>
    public static string Of(string path, string cache, Action<string>? making = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var full = Path.GetFullPath(path);
        var key = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{full}\0{FileSample.Of(path)}")))[..16];
        var folder = Path.Combine(cache, $"{Path.GetFileNameWithoutExtension(full)}-{key}");
        if (Directory.Exists(folder)) return folder;
        making?.Invoke(folder);
        try
        {
            Directory.CreateDirectory(cache);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new CannotWriteException($"cannot make '{cache}': {fault.Message.TrimEnd('.')}; set TRAINER_CACHE to a folder that can be written", fault);
        }
        AtomicFolder.Write(folder, temporary => Make(path, temporary));
        return folder;
    }

    /// <summary>Writes the files into an existing folder.</summary>
    public static void Make(string path, string folder)
    {
        using var file = GgufFile.Open(path);
        var config = GgufConfig.Of(file);
        GgufTokenizer.Write(file, folder);
        WriteConfig(folder, config);
        var model = ConfigLoader.Load(folder);
        var plan = Plan(file, model);
        if (plan.Any(part => part.IsCoded))
        {
            config["quantization_config"] = new JsonObject { ["quant_method"] = "gguf" };
            WriteConfig(folder, config);
        }
        DiskSpace.Require(folder, plan.Sum(part => part.ByteCount), "the GGUF file's folder");
        using var writer = SafetensorsWriter.Create(Path.Combine(folder, ShardedModel.SingleFile), plan.Select(part => part.Declaration),
            SafetensorsWriter.PyTorchMetadata);
        foreach (var part in plan) part.Copy(file, writer);
        writer.Complete();
    }

    private static void WriteConfig(string folder, JsonObject config)
        => File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString(new JsonSerializerOptions { WriteIndented = true }));

    private static List<IGgufPart> Plan(GgufFile file, ModelConfig config)
    {
        var (parts, used) = (new List<IGgufPart>(),
            new HashSet<string>(StringComparer.Ordinal) { "rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight" });
        GgufTensor Source(string name, long[] shape)
        {
            if (!file.ByName.TryGetValue(name, out var tensor)) throw GgufConfig.Bad(file, $"tensor '{name}' is missing");
            if (!tensor.Dimensions.Reverse().SequenceEqual(shape))
                throw GgufConfig.Bad(file, $"tensor '{name}' has shape [{string.Join(", ", tensor.Dimensions.Reverse())}], its metadata needs "
                    + $"[{string.Join(", ", shape)}]");
            if (tensor.Type is not (GgufTensorType.F32 or GgufTensorType.F16 or GgufTensorType.BF16) && !GgufDecoder.Types.Contains(tensor.Type))
                throw GgufConfig.Bad(file, $"tensor '{name}' is of type {tensor.Type}, which is not read (F32, F16, "
                    + $"BF16, {string.Join(", ", GgufDecoder.Types)} are)");
            used.Add(name);
            return tensor;
        }
        foreach (var joined in GgufPlace.Of(config).Where(place => place.IsSplit).GroupBy(place => place.Tensor))
        {
            var shape = joined.First().Module.Shape;
            // Files made before the parts were taken apart have the matrix whole.
            var whole = GgufArchitecture.Below(joined.First().Module, Whole(joined.First().Module)) + ".weight";
            parts.Add(file.ByName.ContainsKey(whole) ? new GgufPart(joined.Key, shape, Source(whole, shape))
                : new GgufJoined(joined.Key, shape, [.. joined.Select(place => (place, Source(place.Name, place.Shape)))]));
        }
        foreach (var place in GgufPlace.Of(config).Where(place => !place.IsSplit))
        {
            if (place.Part is not null) parts.AddRange(Experts(file, place, Source));
            else
            {
                // Layers that share keys and values may carry unused ones, and nothing else may.
                var source = Source(place.Name, place.Shape);
                var shape = place.Module.Tensors.First(tensor => tensor.Name == place.Tensor).Shape;
                parts.Add(new GgufPart(place.Tensor, shape, source)
                {
                    Begin = source.ByteCount / place.Slots * place.Slot,
                    Rows = place.Rows is null ? null : GgufPlace.Inverse(place.Rows),
                    Columns = place.Columns is null ? null : GgufPlace.Inverse(place.Columns),
                    Change = place.Change,
                    IsDecoded = GgufDecoder.Types.Contains(source.Type)
                        && (place.Module.Kind != ModuleKind.Linear || !GgufPart.HasWholeBlocks(place.Columns, source.Type)),
                });
            }
        }
        parts.AddRange(GgufActivation.Parts(config, file));
        // Another program may name what it finds of no use; a model's own tensor that nothing takes means the metadata is wrong.
        if (file.Tensors.FirstOrDefault(tensor => !used.Contains(tensor.Name) && !IsUnused(config, tensor.Name)) is { } left)
            throw GgufConfig.Bad(file, $"tensor '{left.Name}' belongs to nothing in the model that its metadata describes");
        return parts;
    }

    private static string Whole(ModuleBlueprint module) => module.Name switch { "kv_b_proj" => "attn_kv_b", "in_proj_qkvz" => "ssm_in", _ => "" };

    // Layers that predict further tokens lie behind the last one; layers that use another's keys and values may have some of their own all the same.
    private static bool IsUnused(ModelConfig config, string name)
    {
        var parts = name.Split('.');
        if (parts.Length < 3 || parts[0] != "blk" || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var layer)) return false;
        if (layer >= config.LayerCount) return config.IgnoredTensors.Count > 0 || config.HasExtraLayers;
        return config.Layers[layer].Mixer is SelfAttention { KeysOfLayer: not null } && parts[2] is "attn_k" or "attn_v" or "attn_k_norm";
    }

    private static IEnumerable<GgufPart> Experts(GgufFile file, GgufPlace place, Func<string, long[], GgufTensor> source)
    {
        var module = place.Module;
        var (block, part, count) = (module.Experts!, place.Part!.Value, module.Experts!.Experts);
        if (place.IsBias)
        {
            // Gates and ups alternate in the folder.
            var isDown = part == ExpertPart.Down;
            if (part == ExpertPart.Up) yield break;
            var first = source(place.Name, place.Shape);
            var second = isDown ? null : source(place.Name.Replace("_gate_", "_up_", StringComparison.Ordinal), place.Shape);
            foreach (var bias in (GgufTensor?[])[first, second])
                if (bias is { Type: not GgufTensorType.F32 }) throw GgufConfig.Bad(file, $"tensor '{bias.Name}' is of type {bias.Type}, expected F32");
            yield return new GgufPart($"{module.StoredPath}.{(isDown ? block.Names.AllDown : block.Names.AllGateUp)}_bias",
                [count, isDown ? module.ExpertColumns : 2L * block.Width], first) { Second = second };
            yield break;
        }
        var all = source(place.Name, place.Shape);
        var size = all.ByteCount / count;
        for (var e = 0; e < count; e++)
        {
            var own = ExpertTensors.Own(module, e);
            if (part != ExpertPart.GateUp)
            {
                var (name, shape, _) = own.First(tensor => tensor.Part == part);
                yield return new GgufPart(name, shape, all) { Begin = size * e };
            }
            else for (var half = 0; half < 2; half++) yield return new GgufPart(own[half].Name, own[half].Shape, all) { Begin = size * e + size / 2 * half };
        }
    }
}
