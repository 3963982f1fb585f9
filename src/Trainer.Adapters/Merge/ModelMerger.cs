using System.Globalization;
using System.Text.Json.Nodes;
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Folders;
using Trainer.Checkpoints.Json;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Quantize;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Config;
using Trainer.Models.Families;
using static TorchSharp.torch;

namespace Trainer.Adapters.Merge;

/// <summary>
/// Adds an adapter to its base and writes a Hugging Face model folder: W' = W + s B A, with DoRA m (W + s B A) / |W + s B A| by row, in fp32 and
/// rounded once to the base's type. A few rows are in memory at a time, so the size of the model does not matter.
/// </summary>
public static class ModelMerger
{
    private const string Embedding = EmbeddingCopies.Embedding + ".weight", Head = EmbeddingCopies.Head + ".weight";

    private const int ElementsAtOnce = 1 << 24;

    private delegate Tensor RowSum(long begin, Span<float> values);

    /// <summary>Merges; work that was broken off is continued.</summary>
    /// <param name="baseFolder">The model the adapter was trained on, dense or NF4 (then its dequantized values are merged into).</param>
    /// <param name="adapterFolder">A PEFT adapter folder.</param>
    /// <param name="target">The folder to make.</param>
    /// <param name="options">How.</param>
    /// <param name="cancel">Looked at before each tensor.</param>
    /// <exception cref="ModelException">Config and weights of the base contradict each other.</exception>
    /// <exception cref="AdapterException">The adapter does not fit the base or cannot be merged; tensor and reason are named.</exception>
    /// <exception cref="CannotWriteException">The target exists or cannot be written.</exception>
    public static MergeReport Merge(string baseFolder, string adapterFolder, string target, MergeOptions options, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        var config = ConfigLoader.Load(baseFolder);
        FolderCheck.Require(baseFolder);
        using var tensors = BaseTensors.Open(baseFolder, options.OntoQuantized, options.DoubleQuantize, options.Threads);
        using var adapter = new MergeSource(adapterFolder);
        var hasHead = StoredName(tensors, Head) is not null;
        var experts = ExpertMerge.Of(config, tensors, adapter, baseFolder);
        var unties = config.TiedEmbeddings && adapter.Unties && !adapter.Spec.EnsureWeightTying;
        Check(tensors, adapter, experts, baseFolder, unties || !config.TiedEmbeddings);
        // A tied checkpoint may hold the head all the same; it is only kept where it has become a tensor of its own.
        var names = tensors.Names.Where(name => Plain(name) != Head || !config.TiedEmbeddings || unties || config.WrapperType is not null).ToList();
        if (unties && !hasHead) names.Add(HeadLike(tensors));
        var plan = new ModelFolderPlan
        {
            Target = target,
            Groups = [.. names.Select(name => new TensorGroup(name, [Declare(tensors, name, options.Type)]))],
            Identity = $"merge {adapter.Digest()} onto {(options.OntoQuantized ? $"nf4 {options.DoubleQuantize}" : "stored")} as "
                + $"{options.Type?.Name() ?? "stored"} {tensors.Identity()}",
            MaxShardBytes = options.MaxShardBytes,
            Progress = options.Progress,
        };
        var survival = new MergeSurvival();
        ModelFolderWriter.Write(plan, (group, sink) => Produce(tensors, adapter, experts, group.Tensors[0], sink, survival),
            folder => Finish(baseFolder, adapterFolder, folder, unties, options.Type), cancel);
        var merged = names.Count(name => experts?.Changes(name) == true || adapter.HasRows(Plain(name))
            || (adapter.Module(Plain(name)) is not null && adapter.Changes(Plain(name))));
        var replaced = names.Count(name => adapter.Whole.Contains(Plain(name)));
        return new MergeReport(merged, replaced, names.Count(name => experts?.Changes(name) != true && !adapter.Changes(Plain(name))), unties, survival);
    }

    // The head of a tied model is the embedding until something makes it its own.
    private static string Source(BaseTensors tensors, string name)
    {
        if (tensors.Shapes.ContainsKey(name)) return name;
        return StoredName(tensors, name) ?? (Plain(name) == Head ? StoredName(tensors, Embedding) : null) ?? name;
    }

    // Folders of multimodal models have the text model under prefixes of their own; an adapter's names are compared without them.
    private static string Plain(string name) => TensorNames.OfTextModel(name);

    private static string? StoredName(BaseTensors tensors, string plain) => tensors.ByPlainName.GetValueOrDefault(Plain(plain));

    private static string HeadLike(BaseTensors tensors)
        => StoredName(tensors, Embedding)!.StartsWith("language_model.", StringComparison.Ordinal) ? $"language_model.{Head}" : Head;

    private static TensorDeclaration Declare(BaseTensors tensors, string name, SafetensorsDtype? type)
    {
        var (shape, dtype) = tensors.Shapes[Source(tensors, name)];
        return new TensorDeclaration(name, StoredValues.CanRead(dtype) ? type ?? dtype : dtype, shape);
    }

    private static void Check(BaseTensors tensors, MergeSource adapter, ExpertMerge? experts, string baseFolder, bool mayHaveHead)
    {
        var hint = $"the adapter was made for '{adapter.BaseModel ?? "another model"}', the model given is '{baseFolder}'; pass the former with --model";
        // PEFT does not make such adapters, and its merge and its forward pass would disagree about them.
        if (adapter.Spec is { UseDora: true, LoraBias: true })
            throw new AdapterException($"adapter '{adapter.Folder}' has DoRA and a bias on B, which cannot be merged; keep it as an adapter");
        foreach (var module in adapter.Modules)
        {
            if (experts?.Owns(module) == true) continue;
            if (!tensors.Shapes.TryGetValue(Source(tensors, module + ".weight"), out var weight) || (module == "lm_head" && !mayHaveHead))
                throw new AdapterException($"adapter '{adapter.Folder}' adapts '{module}', which the model '{baseFolder}' does not have; {hint}");
            var ((_, b), (_, a)) = adapter.Pair(module);
            if (a.Length != 2 || b.Length != 2 || a[0] != b[1] || a[1] != weight.Shape[^1] || b[0] != weight.Shape[0])
                throw new AdapterException($"adapter '{adapter.Folder}': A [{string.Join(", ", a)}] and B [{string.Join(", ", b)}] of '{module}' do not fit "
                    + $"its weight [{string.Join(", ", weight.Shape)}] in '{baseFolder}'; {hint}");
            if (adapter.Spec.LoraBias && StoredName(tensors, module + ".bias") is null)
                throw new AdapterException($"adapter '{adapter.Folder}' has a bias on B of '{module}', which the model '{baseFolder}' has no bias to take up; "
                    + "it cannot be merged, keep it as an adapter");
        }
        foreach (var (name, ids, shape) in adapter.Rows)
        {
            if (!tensors.Shapes.TryGetValue(Source(tensors, name), out var table) || ids.Count == 0 || !shape.SequenceEqual([ids.Count, table.Shape[^1]])
                || ids.Any(id => id < 0 || id >= table.Shape[0]))
                throw new AdapterException($"adapter '{adapter.Folder}' holds rows [{string.Join(", ", shape)}] of '{name}' for {ids.Count} tokens, which the "
                    + $"model '{baseFolder}' does not have; {hint}");
        }
        foreach (var name in adapter.Copies)
        {
            if (!tensors.Shapes.TryGetValue(Source(tensors, name), out var own)
                || !adapter.IsCopyOf(name, own.Shape, (begin, values) => tensors.Read(Source(tensors, name), begin, values)))
                throw new AdapterException($"adapter '{adapter.Folder}' holds a copy of '{name}' that is not the one of '{baseFolder}': it was trained on "
                    + $"another base, or after its vocabulary grew; {hint}");
        }
        foreach (var name in adapter.Whole)
        {
            var shape = adapter.WholeEntry(name)!.Shape;
            if (!tensors.Shapes.TryGetValue(Source(tensors, name), out var whole) || !whole.Shape.SequenceEqual(shape))
                throw new AdapterException($"adapter '{adapter.Folder}' holds '{name}' [{string.Join(", ", shape)}], which the model '{baseFolder}' does not "
                    + $"have in that shape; {hint}");
        }
    }

    private static void Produce(BaseTensors tensors, MergeSource adapter, ExpertMerge? experts, TensorDeclaration tensor, TensorSink sink,
        MergeSurvival survival)
    {
        var plain = Plain(tensor.Name);
        if (experts?.Changes(tensor.Name) == true)
        {
            var part = new float[experts.SliceLength(tensor.Name)];
            for (var slice = 0; slice < experts.Slices(tensor.Name); slice++)
            {
                experts.Read(tensor.Name, slice, part);
                RequireHeld(tensor, slice * (long)part.Length, part);
                var bytes = new byte[part.Length * tensor.Dtype.Bits() / 8];
                StoredValues.Write(part, tensor.Dtype, bytes);
                survival.Add(experts.Before, part, bytes, tensor.Dtype);
                sink.Write(tensor, bytes);
            }
            return;
        }
        if (adapter.Whole.Contains(plain))
        {
            InRows(tensor, (begin, values) => adapter.ReadWhole(plain, begin, values), sink);
            return;
        }
        var source = Source(tensors, tensor.Name);
        if (!adapter.Changes(plain))
        {
            if (!tensors.IsConverted(source) && tensors.Shapes[source].Dtype == tensor.Dtype) tensors.Copy(source, bytes => sink.Write(tensor, bytes));
            else InRows(tensor, (begin, values) => tensors.Read(source, begin, values), sink);
            return;
        }
        if (adapter.HasRows(plain))
        {
            InRows(tensor, (begin, values) =>
            {
                tensors.Read(source, begin, values);
                adapter.PutRows(plain, begin, values, tensor.Shape[^1]);
            }, sink);
            return;
        }
        var module = adapter.Module(plain)!;
        var ((b, _), (a, aShape)) = adapter.Pair(module);
        var (rank, scale) = (aShape[0], adapter.Scale(module, aShape[0]));
        if (adapter.Spec.IsDoubled && tensor.Name.EndsWith(".weight", StringComparison.Ordinal))
        {
            var (a0, b0) = DoubledAdapter.Beginning(adapter.Spec.Init, tensors, module, (int)rank, scale);
            (a, b) = AdapterStart.Doubled(a, b, a0, b0, (int)rank);
            rank *= 2;
        }
        if (tensor.Name.EndsWith(".bias", StringComparison.Ordinal))
        {
            var bias = new float[tensor.Shape[0]];
            tensors.Read(source, 0, bias);
            var more = adapter.Needed(module, "lora_B.bias").Values;
            for (var i = 0; i < bias.Length; i++) bias[i] += (float)scale * more[i];
            Put(sink, tensor, bias);
            return;
        }
        var magnitude = adapter.Spec.UseDora ? adapter.Magnitude(module) : null;
        var columns = tensor.Shape[1];
        using var noGrad = no_grad();
        using var wide = Matrix(a, rank, columns);
        // A linear layer's magnitudes belong to rows, an embedding's to columns, whose norms take a visit of their own.
        var byColumn = magnitude is not null && module == EmbeddingCopies.Embedding;
        using var factors = byColumn ? ColumnFactors(tensor, Sum, magnitude!) : null;
        float[] before = [];
        InRows(tensor, (begin, values) =>
        {
            using var scope = NewDisposeScope();
            var sum = Sum(begin, values);
            before = values.ToArray();
            if (factors is not null) sum = sum.mul_(factors);
            else if (magnitude is not null)
                sum = sum.mul_(Matrix(magnitude.AsSpan((int)(begin / columns), (int)sum.shape[0]).ToArray(), sum.shape[0], 1) / sum.norm(1, true, 2f));
            sum.data<float>().CopyTo(values);
        }, sink, (after, bytes) => survival.Add(before, after, bytes, tensor.Dtype));

        Tensor Sum(long begin, Span<float> values)
        {
            tensors.Read(source, begin, values);
            var (row, rows) = (begin / columns, values.Length / columns);
            return Matrix(values.ToArray(), rows, columns)
                .add_(Matrix(b.AsSpan((int)(row * rank), (int)(rows * rank)).ToArray(), rows, rank).matmul(wide).mul_(scale));
        }
    }

    private static Tensor ColumnFactors(TensorDeclaration declaration, RowSum rows, float[] magnitude)
    {
        using var scope = NewDisposeScope();
        var squares = zeros(magnitude.Length, dtype: ScalarType.Float32);
        Visit(declaration, (begin, values) =>
        {
            using var inner = NewDisposeScope();
            squares.add_(rows(begin, values).square().sum(dim: 0));
        });
        return (tensor(magnitude) / squares.sqrt()).MoveToOuterDisposeScope();
    }

    private static Tensor Matrix(float[] values, long rows, long columns) => tensor(values, [rows, columns]);

    private static void RequireHeld(TensorDeclaration tensor, long begin, ReadOnlySpan<float> values)
    {
        if (StoredValues.FirstOverflow(values, tensor.Dtype) is >= 0 and var at)
            throw new AdapterException(string.Create(CultureInfo.InvariantCulture, $"tensor '{tensor.Name}' of the merged model "
                + $"is {values[at]} at element {begin + at}, which {StoredValues.TorchName(tensor.Dtype)} cannot hold; merge with --type bf16 or f32, or keep "
                + $"the adapter beside its base"));
    }

    private delegate void Written(ReadOnlySpan<float> values, ReadOnlySpan<byte> bytes);

    private static void InRows(TensorDeclaration tensor, WeightReader fill, TensorSink sink, Written? written = null)
    {
        byte[] bytes = [];
        Visit(tensor, (begin, part) =>
        {
            fill(begin, part);
            RequireHeld(tensor, begin, part);
            var size = part.Length * tensor.Dtype.Bits() / 8;
            if (bytes.Length < size) bytes = new byte[size];
            StoredValues.Write(part, tensor.Dtype, bytes.AsSpan(0, size));
            written?.Invoke(part, bytes.AsSpan(0, size));
            sink.Write(tensor, bytes.AsSpan(0, size));
        });
    }

    // Whole rows, a few million elements at a time, in one buffer.
    private static void Visit(TensorDeclaration tensor, WeightReader visit)
    {
        var columns = tensor.Shape.Length < 2 ? 1 : tensor.Shape[^1];
        var (count, step) = (tensor.Shape.Aggregate(1L, (product, side) => product * side), Math.Max(1, ElementsAtOnce / columns) * columns);
        var values = new float[Math.Min(step, count)];
        for (long begin = 0; begin < count; begin += step) visit(begin, values.AsSpan(0, (int)Math.Min(step, count - begin)));
    }

    private static void Put(TensorSink sink, TensorDeclaration tensor, float[] values)
        => InRows(tensor, (begin, part) => values.AsSpan((int)begin, part.Length).CopyTo(part), sink);

    private static void Finish(string baseFolder, string adapterFolder, string folder, bool unties, SafetensorsDtype? type)
    {
        var original = SmallFile.Bytes(Path.Combine(baseFolder, "config.json"));
        var config = (JsonObject)PythonJson.ParseNode(original)!;
        var changed = config.Remove("quantization_config");
        if (unties)
        {
            config["tie_word_embeddings"] = false;
            changed = true;
        }
        if (type is { } stored)
        {
            config[config.ContainsKey("dtype") ? "dtype" : "torch_dtype"] = StoredValues.TorchName(stored);
            changed = true;
        }
        File.WriteAllBytes(Path.Combine(folder, "config.json"), changed ? System.Text.Encoding.UTF8.GetBytes(PythonJson.Serialize(config) + "\n") : original);
        ModelFolderFiles.CopyCompanions(baseFolder, folder, TextFolders.Of(baseFolder, adapterFolder));
    }

}
