using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Trainer.Adapters;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Tests.Models;
using Trainer.Models;

namespace Trainer.Engine.Tests.Adapters;

/// <summary>Adapter folders as other programs leave them: their targets, patterns and names, against weights that are merged here by PEFT's written
/// rules.</summary>
[Trait("ring", "model")]
public sealed class PeopleAdapterTests : IDisposable
{
    private const string Base = """
        {"model_type": "llama", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "tie_word_embeddings": false}
        """;

    // As unsloth writes it for a model whose towers are not all trained.
    private const string Unsloth = """(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense).*?(?:k_proj|v_proj|q_proj|up_proj).*?)|(?:\\bmodel\\.layers\\.[\\d]{1,}\\.(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense)\\.(?:(?:k_proj|v_proj|q_proj|up_proj)))""";

    private readonly string _temp = Directory.CreateTempSubdirectory("people-adapter-").FullName;

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    [Theory]
    [InlineData("\"target_modules\": \"" + Unsloth + "\", \"task_type\": null, \"auto_mapping\": {\"base_model_class\": \"LlamaForCausalLM\", "
        + "\"parent_library\": \"transformers.models.llama.modeling_llama\", \"unsloth_fixed\": true}, \"qalora_group_size\": 16, \"use_qalora\": false",
        @"\.(k_proj|v_proj|q_proj|up_proj)$")]
    [InlineData("\"target_modules\": [\"q_proj\", \"down_proj\"], \"rank_pattern\": {\"^model\\\\.layers\\\\.0\\\\..*q_proj\": 4, "
        + "\"layers.1.mlp.down_proj\": 3}",
        @"\.(q_proj|down_proj)$")]
    [InlineData("\"target_modules\": [\"q_proj\", \"v_proj\"], \"rank_pattern\": {\"q_proj\": 4}, \"alpha_pattern\": {\"(layers\\\\.[02]\\\\..*)?v_proj\": 9}",
        @"\.(q_proj|v_proj)$")]
    [InlineData("\"target_modules\": [\"q_proj\", \"o_proj\"], \"use_rslora\": true, \"rank_pattern\": {\"model.layers.2.self_attn.o_proj\": 1}",
        @"\.(q_proj|o_proj)$")]
    [InlineData("\"target_modules\": [\"gate_proj\", \"o_proj\"], \"exclude_modules\": [\"layers.1.self_attn.o_proj\"]",
        @"(gate_proj|layers\.[02]\.self_attn\.o_proj)$")]
    [InlineData("\"target_modules\": [\"k_proj\"], \"exclude_modules\": \".*layers\\\\.[01]\\\\..*\"", @"layers\.2\..*k_proj$")]
    [InlineData("\"target_modules\": [\"model.layers.0.mlp.up_proj\", \"1.self_attn.v_proj\"]", @"(layers\.0\.mlp\.up_proj|layers\.1\.self_attn\.v_proj)$")]
    [InlineData("\"target_modules\": [\"up_proj\"], \"layers_to_transform\": [2, 0], \"layers_pattern\": \"layers\"", @"layers\.[02]\.mlp\.up_proj$")]
    [InlineData("\"target_modules\": [\"up_proj\"], \"layers_to_transform\": 1", @"layers\.1\.mlp\.up_proj$")]
    [InlineData("\"target_modules\": \".*\\\\.(0|2)\\\\.(self_attn|mlp)\\\\.(q|down)_proj\"", @"layers\.[02]\..*\.(q|down)_proj$")]
    [InlineData("\"target_modules\": \"all-linear\"", @"layers\..*_proj$")]
    public void Folders_change_what_peft_says_they_change(string keys, string modules)
    {
        var source = Directory.CreateDirectory(Path.Combine(_temp, "base")).FullName;
        RandomModel.Write(source, Base);
        Compare(source, keys, new Regex(modules), path => "base_model.model." + path);
    }

    [Theory]
    [InlineData("gemma3_wrapper", "base_model.model.model.language_model.layers.")]
    [InlineData("gemma3_wrapper", "base_model.model.language_model.model.layers.")]
    [InlineData("gemma3_wrapper", "base_model.model.model.layers.")]
    [InlineData("qwen3_5_wrapper", "base_model.model.model.language_model.layers.")]
    [InlineData("qwen3_5_wrapper", "base_model.model.model.layers.")]
    public void Prefixes_of_either_class_and_of_older_releases_are_read(string name, string prefix)
        => Compare(Golden.Folder(name), "\"target_modules\": [\"down_proj\"]", new Regex(@"layers\..*down_proj$"),
            path => prefix + path[(path.IndexOf("layers.", StringComparison.Ordinal) + "layers.".Length)..]);

    [Theory]
    [InlineData("base_model.model._orig_mod.model.layers.0.self_attn.q_proj", "wrapper")]
    [InlineData("module.base_model.model.model.layers.0.self_attn.q_proj", "wrapper")]
    [InlineData("base_model.model.model._fsdp_wrapped_module.layers.0.self_attn.q_proj", "wrapper")]
    [InlineData("model.layers.0.self_attn.q_proj", "lacks PEFT's")]
    [InlineData("base_model.model.base_model.model.model.layers.0.self_attn.q_proj", "wrapped twice")]
    [InlineData("base_model.model.transformer.h.0.attn.q_proj", "model.layers.0")]
    public void Names_that_match_no_class_are_told(string module, string why)
    {
        var source = Directory.CreateDirectory(Path.Combine(_temp, "base")).FullName;
        RandomModel.Write(source, Base);
        var folder = Folder("\"target_modules\": [\"q_proj\"]", [(module, 2, 32, 32)], new Random(1), out _);
        using var model = Load(source);
        Assert.Contains(why, Assert.Throws<AdapterException>(() => PeftFolder.Load(model, folder)).Message, StringComparison.Ordinal);
    }

    private void Compare(string source, string keys, Regex modules, Func<string, string> keyOf)
    {
        using var adapted = Load(source);
        List<(string Path, int Rank, int Rows, int Columns)> trained = [.. adapted.Linears.Where(linear => modules.IsMatch(linear.Name))
            .Select(linear => (linear.Name, Rank(keys, linear.Name), (int)linear.Weight.Rows, (int)linear.Weight.Columns))];
        Assert.NotEmpty(trained);
        var folder = Folder(keys, [.. trained.Select(one => (keyOf(one.Path), one.Rank, one.Rows, one.Columns))], new Random(2), out var updates);
        PeftFolder.Load(adapted, folder);
        using var variant = new FolderVariant(source);
        foreach (var (path, rank, rows, columns) in trained)
        {
            // Whatever prefix the folder of the base has.
            var name = variant.Names.Single(stored => stored.EndsWith(path[path.IndexOf("layers.", StringComparison.Ordinal)..] + ".weight",
                StringComparison.Ordinal) && !stored.Contains("vision", StringComparison.Ordinal));
            var (values, (a, b)) = (variant.TakeFloats(name), updates[keyOf(path)]);
            var scale = Alpha(keys, path) / (keys.Contains("use_rslora", StringComparison.Ordinal) ? Math.Sqrt(rank) : rank);
            for (var row = 0; row < rows; row++)
            {
                for (var column = 0; column < columns; column++)
                {
                    var sum = 0.0;
                    for (var r = 0; r < rank; r++) sum += (double)b[row * rank + r] * a[r * columns + column];
                    values[row * columns + column] += (float)(scale * sum);
                }
            }
            variant.Put(name, [rows, columns], values);
        }
        using CausalModel plain = Load(source), merged = Load(variant.Write());
        Assert.True(Golden.LargestDifference(Logits(plain), Logits(merged)) > 1e-3);
        Assert.InRange(Golden.LargestDifference(Logits(adapted), Logits(merged)), 0, 2e-4);
    }

    // PEFT: the first key k for which (.*\.)?(k)$ matches from the beginning.
    private static int Rank(string keys, string path) => (int)(Pattern(keys, "rank_pattern", path) ?? 2);

    private static double Alpha(string keys, string path) => Pattern(keys, "alpha_pattern", path) ?? 5;

    private static double? Pattern(string keys, string name, string path)
    {
        using var document = System.Text.Json.JsonDocument.Parse("{" + keys + "}");
        if (!document.RootElement.TryGetProperty(name, out var patterns)) return null;
        foreach (var pair in patterns.EnumerateObject())
            if (Regex.IsMatch(path, $@"^(.*\.)?({pair.Name})$")) return pair.Value.GetDouble();
        return null;
    }

    private string Folder(string keys, List<(string Key, int Rank, int Rows, int Columns)> pairs, Random random,
        out Dictionary<string, (float[] A, float[] B)> updates)
    {
        var folder = Directory.CreateDirectory(Path.Combine(_temp, "adapter")).FullName;
        File.WriteAllText(Path.Combine(folder, PeftFolder.ConfigFile),
            $"{{\"peft_type\": \"LORA\", \"base_model_name_or_path\": \"some/base\", \"r\": 2, \"lora_alpha\": 5, \"lora_dropout\": 0.0, "
            + $"\"bias\": \"none\", {keys}}}");
        using var writer = SafetensorsWriter.Create(Path.Combine(folder, PeftFolder.WeightsFile), pairs.SelectMany(pair => new[]
        {
            new TensorDeclaration(pair.Key + ".lora_A.weight", SafetensorsDtype.F32, [pair.Rank, pair.Columns]),
            new TensorDeclaration(pair.Key + ".lora_B.weight", SafetensorsDtype.F32, [pair.Rows, pair.Rank]),
        }), SafetensorsWriter.PyTorchMetadata);
        updates = [];
        foreach (var (key, rank, rows, columns) in pairs)
        {
            float[] Drawn(int count) => [.. Enumerable.Range(0, count).Select(_ => 0.2f * (random.NextSingle() - 0.5f))];
            var (a, b) = (Drawn(rank * columns), Drawn(rows * rank));
            updates[key] = (a, b);
            writer.Write(key + ".lora_A.weight", MemoryMarshal.AsBytes<float>(a));
            writer.Write(key + ".lora_B.weight", MemoryMarshal.AsBytes<float>(b));
        }
        writer.Complete();
        return folder;
    }

    private static CausalModel Load(string folder)
        => CausalModel.Load(folder, new ModelLoadOptions { Quantize = QuantizeKind.None, Compute = ComputeKind.Float32, Engine = EngineKind.Reference });

    private static float[] Logits(CausalModel model)
    {
        using var logits = model.Logits(TokenBatch.OfTokens([1, 7, 3, 9, 22, 4, 11, 5]));
        return logits.data<float>().ToArray();
    }
}
