using System.Text.Json.Nodes;
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Adapters;

/// <summary>
/// Adds an adapter to its base and writes a Hugging Face model folder: W' = W + s B A, with DoRA m (W + s B A) / |W + s B A| by row, in fp32 and
/// rounded once to the base's type. A few rows are in memory at a time, so the size of the model does not matter.
/// </summary>
public static class ModelMerger
{
    private const string Embedding = "model.embed_tokens.weight", Head = "lm_head.weight";

    private const int ElementsAtOnce = 1 << 24;

    /// <summary>Merges; work that was broken off is continued.</summary>
    /// <param name="baseFolder">The model the adapter was trained on, dense or NF4 (then its dequantized values are merged into).</param>
    /// <param name="adapterFolder">A PEFT adapter folder.</param>
    /// <param name="target">The folder to make.</param>
    /// <param name="options">How.</param>
    /// <param name="cancel">Looked at before each tensor.</param>
    /// <exception cref="AdapterException">The adapter does not fit the base or cannot be merged; tensor and reason are named.</exception>
    /// <exception cref="CannotWriteException">The target exists or cannot be written.</exception>
    public static MergeReport Merge(string baseFolder, string adapterFolder, string target, MergeOptions options, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        var config = ModelConfig.Load(baseFolder);
        using var tensors = BaseTensors.Open(baseFolder, options.OntoQuantized, options.DoubleQuantize, options.Threads);
        using var adapter = new MergeSource(adapterFolder);
        var hasHead = tensors.Shapes.ContainsKey(Head);
        var unties = config.TiedEmbeddings && adapter.Unties;
        Check(tensors, adapter, baseFolder, unties || !config.TiedEmbeddings);
        // A tied checkpoint may hold the head all the same; it is only kept where it has become a tensor of its own.
        var names = tensors.Names.Where(name => name != Head || !config.TiedEmbeddings || unties).ToList();
        if (unties && !hasHead) names.Add(Head);
        var plan = new ModelFolderPlan
        {
            Target = target,
            Groups = [.. names.Select(name => new TensorGroup(name, [Declare(tensors, name)]))],
            Identity = $"merge {adapter.Digest()} onto {(options.OntoQuantized ? $"nf4 {options.DoubleQuantize}" : "stored")} {tensors.Identity}",
            MaxShardBytes = options.MaxShardBytes,
            Progress = options.Progress,
        };
        ModelFolderWriter.Write(plan, (group, sink) => Produce(tensors, adapter, group.Tensors[0], sink), folder => Finish(baseFolder, folder, unties), cancel);
        var merged = names.Count(name => adapter.Module(name) is not null && adapter.Changes(name));
        var replaced = names.Count(name => adapter.Whole.Contains(name));
        return new MergeReport(merged, replaced, names.Count(name => !adapter.Changes(name)), unties);
    }

    // The head of a tied model is the embedding until something makes it its own.
    private static string Source(BaseTensors tensors, string name) => name == Head && !tensors.Shapes.ContainsKey(Head) ? Embedding : name;

    private static TensorDeclaration Declare(BaseTensors tensors, string name)
    {
        var (shape, dtype) = tensors.Shapes[Source(tensors, name)];
        return new TensorDeclaration(name, dtype, shape);
    }

    private static void Check(BaseTensors tensors, MergeSource adapter, string baseFolder, bool mayHaveHead)
    {
        var hint = $"the adapter was made for '{adapter.BaseModel ?? "another model"}'; pass that with --model";
        // PEFT does not make such adapters, and its merge and its forward pass would disagree about them.
        if (adapter.Spec is { UseDora: true, LoraBias: true }) throw new AdapterException($"adapter '{adapter.Folder}' has DoRA and a bias on B, which cannot be merged; keep it as an adapter");
        foreach (var module in adapter.Modules)
        {
            if (!tensors.Shapes.TryGetValue(Source(tensors, module + ".weight"), out var weight) || (module == "lm_head" && !mayHaveHead))
                throw new AdapterException($"adapter '{adapter.Folder}' adapts '{module}', which the model '{baseFolder}' does not have; {hint}");
            var a = adapter.Part(module, "lora_A.weight")?.Shape ?? throw Missing(adapter, module, "lora_A.weight");
            var b = adapter.Part(module, "lora_B.weight")?.Shape ?? throw Missing(adapter, module, "lora_B.weight");
            if (a.Length != 2 || b.Length != 2 || a[0] != b[1] || a[1] != weight.Shape[^1] || b[0] != weight.Shape[0])
                throw new AdapterException($"adapter '{adapter.Folder}': A [{string.Join(", ", a)}] and B [{string.Join(", ", b)}] of '{module}' do not fit its weight [{string.Join(", ", weight.Shape)}] in '{baseFolder}'; {hint}");
            if (adapter.Spec.LoraBias && !tensors.Shapes.ContainsKey(module + ".bias"))
                throw new AdapterException($"adapter '{adapter.Folder}' has a bias on B of '{module}', which the model '{baseFolder}' has no bias to take up; it cannot be merged, keep it as an adapter");
        }
        foreach (var name in adapter.Whole)
        {
            var shape = adapter.WholeEntry(name)!.Shape;
            if (!tensors.Shapes.TryGetValue(Source(tensors, name), out var whole) || !whole.Shape.SequenceEqual(shape))
                throw new AdapterException($"adapter '{adapter.Folder}' holds '{name}' [{string.Join(", ", shape)}], which the model '{baseFolder}' does not have in that shape; {hint}");
        }
    }

    private static AdapterException Missing(MergeSource adapter, string module, string part) =>
        new($"adapter '{adapter.Folder}' has no {part} for '{module}'; its weights file is incomplete, write or copy it again");

    private static void Produce(BaseTensors tensors, MergeSource adapter, TensorDeclaration tensor, TensorSink sink)
    {
        if (adapter.Whole.Contains(tensor.Name))
        {
            Put(sink, tensor, adapter.ReadWhole(tensor.Name));
            return;
        }
        var source = Source(tensors, tensor.Name);
        if (!adapter.Changes(tensor.Name))
        {
            if (!tensors.IsConverted(source)) tensors.Copy(source, bytes => sink.Write(tensor, bytes));
            else InRows(tensor, (begin, values) => tensors.Read(source, begin, values), sink);
            return;
        }
        var module = adapter.Module(tensor.Name)!;
        var (a, aShape) = adapter.Part(module, "lora_A.weight")!.Value;
        var (b, _) = adapter.Part(module, "lora_B.weight")!.Value;
        var (rank, scale) = (aShape[0], adapter.Scale(module, aShape[0]));
        if (tensor.Name.EndsWith(".bias", StringComparison.Ordinal))
        {
            var bias = new float[tensor.Shape[0]];
            tensors.Read(source, 0, bias);
            var more = adapter.Part(module, "lora_B.bias")?.Values ?? throw Missing(adapter, module, "lora_B.bias");
            for (var i = 0; i < bias.Length; i++) bias[i] += (float)scale * more[i];
            Put(sink, tensor, bias);
            return;
        }
        var magnitude = adapter.Spec.UseDora ? (adapter.Part(module, "lora_magnitude_vector") ?? adapter.Part(module, "lora_magnitude_vector.weight") ?? throw Missing(adapter, module, "lora_magnitude_vector")).Values : null;
        var columns = tensor.Shape[1];
        using var wide = Matrix(a, rank, columns);
        InRows(tensor, (begin, values) =>
        {
            tensors.Read(source, begin, values);
            var (row, rows) = (begin / columns, values.Length / columns);
            AddRows(values, b.AsSpan((int)(row * rank), (int)(rows * rank)).ToArray(), wide, rank, rows, scale, magnitude is null ? null : magnitude.AsSpan((int)row, (int)rows).ToArray());
        }, sink);
    }

    private static Tensor Matrix(float[] values, long rows, long columns) => tensor(values, [rows, columns]);

    private static void AddRows(Span<float> weight, float[] b, Tensor a, long rank, long rows, double scale, float[]? magnitude)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var sum = tensor(weight.ToArray(), [rows, a.shape[1]]).add_(Matrix(b, rows, rank).matmul(a).mul_(scale));
        if (magnitude is not null)
            sum = sum.mul_((tensor(magnitude) / sum.norm(1, false, 2f)).unsqueeze(1));
        sum.data<float>().CopyTo(weight);
    }

    private static void InRows(TensorDeclaration tensor, Action<long, Span<float>> fill, TensorSink sink)
    {
        var columns = tensor.Shape.Length < 2 ? 1 : tensor.Shape[^1];
        var (count, step) = (tensor.Shape.Aggregate(1L, (product, side) => product * side), Math.Max(1, ElementsAtOnce / columns) * columns);
        var values = new float[Math.Min(step, count)];
        var bytes = new byte[values.Length * tensor.Dtype.Bits() / 8];
        for (long begin = 0; begin < count; begin += step)
        {
            var part = values.AsSpan(0, (int)Math.Min(step, count - begin));
            fill(begin, part);
            var raw = bytes.AsSpan(0, part.Length * tensor.Dtype.Bits() / 8);
            StoredValues.Write(part, tensor.Dtype, raw);
            sink.Write(tensor, raw);
        }
    }

    private static void Put(TensorSink sink, TensorDeclaration tensor, float[] values) => InRows(tensor, (begin, part) => values.AsSpan((int)begin, part.Length).CopyTo(part), sink);

    private static void Finish(string baseFolder, string folder, bool unties)
    {
        var original = File.ReadAllBytes(Path.Combine(baseFolder, "config.json"));
        var config = (JsonObject)JsonNode.Parse(original)!;
        var changed = config.Remove("quantization_config");
        if (unties)
        {
            config["tie_word_embeddings"] = false;
            changed = true;
        }
        File.WriteAllBytes(Path.Combine(folder, "config.json"), changed ? System.Text.Encoding.UTF8.GetBytes(PythonJson.Serialize(config) + "\n") : original);
        ModelFolderFiles.CopyCompanions(baseFolder, folder);
    }

}
