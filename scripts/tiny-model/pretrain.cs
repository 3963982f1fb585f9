#:project ../../src/Trainer.Models/Trainer.Models.csproj
#:project ../../src/Trainer.Engine/Trainer.Engine.csproj
#:project ../../src/Trainer.Tokenizers/Trainer.Tokenizers.csproj
#:project ../../src/Trainer.Checkpoints/Trainer.Checkpoints.csproj
#:project ../../src/Trainer.Numerics/Trainer.Numerics.csproj
#:property PublishAot=false
#:property RestorePackagesWithLockFile=false
#:property UsesTorch=true
#:property ConcurrentGarbageCollection=false
#:property RuntimeIdentifier=$(NETCoreSdkRuntimeIdentifier)
#:property SelfContained=false
#:property NoWarn=CA1861
#:property AllowUnsafeBlocks=true
// Pre-trains the embedded model from random weights with the trainer's own engine, every weight trainable, and writes MODEL as a Hugging Face folder in bfloat16.
// Usage: dotnet run -c Release pretrain.cs OUT MODEL [EPOCHS]      (after text.cs and tokenizer.cs)
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Trainer.Checkpoints.Folders;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Numerics.Optimizer;
using Trainer.Tokenizers;
using Trainer.Tokenizers.Files;

const int Hidden = 128, Layers = 4, Heads = 4, KeyValueHeads = 2, Intermediate = 384, Context = 256, Seed = 1;
const int SegmentsPerStep = 3, SegmentTokens = 208;
const double PeakRate = 3e-3, Clip = 1.0;
var (output, folder, epochs) = (args[0], args[1], args.Length > 2 ? int.Parse(args[2]) : 8);

var tokenizer = HfTokenizer.Load(folder);
var rows = File.ReadLines(Path.Combine(output, "pretrain.jsonl")).Select(line => Encode(JsonDocument.Parse(line).RootElement)).ToArray();
WriteConfig();
var random = new Random(Seed);
Write("model.safetensors", SafetensorsDtype.F32, (_, shape) => Initial(shape));
var model = CausalModel.Load(folder, new ModelLoadOptions { TrainAllWeights = true, GradientCheckpointing = false });

var parameters = model.Parameters;
var steps = epochs * (rows.Sum(static row => row.Length) / (SegmentsPerStep * SegmentTokens));
var cursor = rows.Length;
var (first, second) = (new float[parameters.Length], new float[parameters.Length]);
var watch = Stopwatch.StartNew();
var smooth = 0.0;
for (var step = 1; step <= steps; step++)
{
    var batch = TokenBatch.OfRows([.. Enumerable.Range(0, SegmentsPerStep).Select(_ => Segment()).Select(static ids => (ids, ids))]);
    parameters.ZeroGradients();
    var loss = model.ForwardBackward(batch, 1.0 / batch.TrainedTokens);
    var norm = Math.Sqrt(parameters.GradientSpan.ToArray().Sum(static g => (double)g * g));
    var rate = PeakRate * Math.Min(1, step / 200.0) * (0.02 + 0.98 * 0.5 * (1 + Math.Cos(Math.PI * step / steps)));
    Step(new AdamWStep(rate, 0.9, 0.98, 1e-8, 0.05, Math.Min(1, Clip / norm), step));
    smooth = step == 1 ? loss.LossSum / loss.TrainedTokens : 0.98 * smooth + 0.02 * loss.LossSum / loss.TrainedTokens;
    if (step % 200 == 0 || step == 1) Console.WriteLine($"step {step}/{steps} loss {smooth:0.0000} norm {norm:0.00} {watch.Elapsed.TotalSeconds:0} s");
}
Write("model.safetensors", SafetensorsDtype.BF16, (name, _) => parameters.ValuesOf(parameters.Find(name)!).ToArray());
model.Dispose();

unsafe void Step(AdamWStep numbers)
{
    fixed (float* m = first, v = second) FlatAdamW.Step(parameters.ValuePointer, parameters.GradientPointer, m, v, 0, parameters.Length, numbers);
}

// Rows run on behind each other up to the segment's length; the order is drawn anew when all rows were seen.
int[] Segment()
{
    var ids = new List<int>();
    while (ids.Count < SegmentTokens)
    {
        if (cursor == rows.Length)
        {
            random.Shuffle(rows);
            cursor = 0;
        }
        ids.AddRange(rows[cursor++]);
    }
    return [.. ids.Take(Context)];
}

// The prompt's tokens are learnt too: a base model knows questions as well as answers.
int[] Encode(JsonElement row)
{
    var text = row.TryGetProperty("text", out var plain) ? plain.GetString() + "<|endoftext|>"
        : string.Concat(row.GetProperty("messages").EnumerateArray().Select(static message => $"<|im_start|>{message.GetProperty("role").GetString()}\n{message.GetProperty("content").GetString()}<|im_end|>\n"));
    return tokenizer.Encode(text, addSpecialTokens: false).Ids;
}

void WriteConfig()
{
    var json = new JsonSerializerOptions { WriteIndented = true };
    var (end, endOfTurn) = (tokenizer.IdOf("<|endoftext|>"), tokenizer.IdOf("<|im_end|>"));
    File.WriteAllText(Path.Combine(folder, "config.json"), JsonSerializer.Serialize(new
    {
        architectures = new[] { "LlamaForCausalLM" }, model_type = "llama", torch_dtype = "bfloat16", hidden_act = "silu", attention_bias = false, mlp_bias = false,
        hidden_size = Hidden, intermediate_size = Intermediate, num_hidden_layers = Layers, num_attention_heads = Heads, num_key_value_heads = KeyValueHeads, head_dim = Hidden / Heads,
        vocab_size = tokenizer.VocabularySize, max_position_embeddings = Context, rms_norm_eps = 1e-5, rope_theta = 10000.0, tie_word_embeddings = true,
        bos_token_id = (int?)null, eos_token_id = endOfTurn, pad_token_id = end, initializer_range = 0.02, use_cache = true,
    }, json) + "\n");
    File.WriteAllText(Path.Combine(folder, "generation_config.json"), JsonSerializer.Serialize(new { eos_token_id = new[] { endOfTurn, end }, pad_token_id = end, do_sample = false }, json) + "\n");
}

void Write(string name, SafetensorsDtype dtype, Func<string, long[], float[]> valuesOf)
{
    using var writer = SafetensorsWriter.Create(Path.Combine(folder, name), Shapes().Select(tensor => new TensorDeclaration(tensor.Name, dtype, tensor.Shape)), SafetensorsWriter.PyTorchMetadata);
    foreach (var (tensor, shape) in Shapes())
    {
        var values = valuesOf(tensor, shape);
        writer.Write(tensor, dtype == SafetensorsDtype.F32 ? MemoryMarshal.AsBytes(values.AsSpan())
            : MemoryMarshal.AsBytes<ushort>([.. values.Select(Trainer.Numerics.Half.BFloat16Bits.FromFloat)]));
    }
    writer.Complete();
}

// Matrices from N(0, 1 / fan-in), which keeps the variance of activations; norms start at 1; the tied embedding smaller, so that first logits are calm.
float[] Initial(long[] shape)
    => [.. Enumerable.Range(0, (int)shape.Aggregate(1L, static (a, b) => a * b)).Select(_ => shape.Length == 1 ? 1f : (float)(Normal() * (shape[0] == tokenizer.VocabularySize ? 0.05 : Math.Sqrt(1.0 / shape[1]))))];

double Normal() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

IEnumerable<(string Name, long[] Shape)> Shapes()
{
    const int Head = Hidden / Heads;
    yield return ("model.embed_tokens.weight", [tokenizer.VocabularySize, Hidden]);
    for (var layer = 0; layer < Layers; layer++)
    {
        var prefix = $"model.layers.{layer}.";
        yield return (prefix + "input_layernorm.weight", [Hidden]);
        yield return (prefix + "post_attention_layernorm.weight", [Hidden]);
        yield return (prefix + "self_attn.q_proj.weight", [Heads * Head, Hidden]);
        yield return (prefix + "self_attn.k_proj.weight", [KeyValueHeads * Head, Hidden]);
        yield return (prefix + "self_attn.v_proj.weight", [KeyValueHeads * Head, Hidden]);
        yield return (prefix + "self_attn.o_proj.weight", [Hidden, Heads * Head]);
        yield return (prefix + "mlp.gate_proj.weight", [Intermediate, Hidden]);
        yield return (prefix + "mlp.up_proj.weight", [Intermediate, Hidden]);
        yield return (prefix + "mlp.down_proj.weight", [Hidden, Intermediate]);
    }
    yield return ("model.norm.weight", [Hidden]);
}
