using System.Runtime.InteropServices;
using Trainer.Adapters;
using Trainer.Adapters.Merge;
using Trainer.Checkpoints.Folders;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Gguf;
using Trainer.Engine.Quantize;
using Trainer.Engine.Vocabulary;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Models;

/// <summary>A source that is replaced by other values with the same names, sizes and times, as copies that keep times make it: what was begun or made of the
/// old one is not used for the new one.</summary>
public sealed class ReplacedSourceTests : IDisposable
{
    private const string Llama = """
        {"model_type": "llama", "vocab_size": 768, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
         "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "tie_word_embeddings": false, "torch_dtype": "float32"}
        """;

    private static readonly DateTime Then = new(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc);

    private readonly string _temp = Directory.CreateTempSubdirectory("replaced-").FullName;

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    [Fact]
    public void A_4_bit_folder_of_which_some_is_made_is_begun_anew()
    {
        var source = Source();
        void Quantize(string target, CancellationToken stop = default, Action<long, long>? progress = null)
            => ModelQuantizer.Quantize(source, At(target), new QuantizeOptions { MaxShardBytes = 30_000, Progress = progress }, stop);
        BreakOff((stop, progress) => Quantize("part", stop, progress));
        Replace(Path.Combine(source, "model.safetensors"));
        Quantize("part");
        Quantize("whole");
        AssertSame("whole", "part");
    }

    [Fact]
    public void A_merged_folder_of_which_some_is_made_is_begun_anew_for_another_base_and_another_alpha()
    {
        var (source, adapter) = (Source(), At("adapter"));
        Directory.CreateDirectory(adapter);
        using (var model = CausalModel.Load(source, new ModelLoadOptions()))
        {
            var spec = new LoraSpec { Rank = 2, Alpha = 4, Targets = TargetModules.OfNames(["q_proj", "down_proj"]) };
            AdapterInjector.Inject(model, spec, 1);
            foreach (var entry in model.Parameters.Entries) model.Parameters.Write(entry, [.. Enumerable.Range(1, (int)entry.Count).Select(i => i % 7 * 0.1f)]);
            PeftFolder.Save(adapter, model, spec, source);
        }
        void Merge(string target, CancellationToken stop = default, Action<long, long>? progress = null)
            => ModelMerger.Merge(source, adapter, At(target), new MergeOptions { MaxShardBytes = 60_000, Progress = progress }, stop);
        BreakOff((stop, progress) => Merge("part", stop, progress));
        Replace(Path.Combine(source, "model.safetensors"));
        Merge("part");
        Merge("whole");
        AssertSame("whole", "part");

        BreakOff((stop, progress) => Merge("part2", stop, progress));
        var config = Path.Combine(adapter, "adapter_config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"lora_alpha\": 4", "\"lora_alpha\": 8", StringComparison.Ordinal));
        Merge("part2");
        Merge("whole2");
        AssertSame("whole2", "part2");
        Assert.NotEqual(Directory.GetFiles(At("whole")).Order().Select(File.ReadAllBytes), Directory.GetFiles(At("whole2")).Order().Select(File.ReadAllBytes));
    }

    [Fact]
    public void A_base_with_more_tokens_is_made_again()
    {
        var source = Source();
        ModelFolderFiles.CopyTokenizer(TextFolders.Of(ReferenceData.Embedded, null), source);
        string Of() => GrownFolder.Of(source, ["<|tool|>"], At("cache")).Folder;
        var first = Of();
        Assert.Equal(first, Of());
        Replace(Path.Combine(source, "model.safetensors"));
        Assert.NotEqual(first, Of());
    }

    [Fact]
    public void A_GGUF_file_is_laid_out_again()
    {
        var source = Source();
        ModelFolderFiles.CopyTokenizer(TextFolders.Of(ReferenceData.Embedded, null), source);
        string first = At("a.gguf"), second = At("b.gguf");
        GgufModelExporter.Export(source, first, new GgufModelOptions { Type = GgufTensorType.F32 });
        Replace(Path.Combine(source, "model.safetensors"));
        GgufModelExporter.Export(source, second, new GgufModelOptions { Type = GgufTensorType.F32 });
        File.SetLastWriteTimeUtc(first, Then);
        File.SetLastWriteTimeUtc(second, Then);
        Assert.Equal(new FileInfo(first).Length, new FileInfo(second).Length);
        var folder = GgufFolder.Of(first, At("cache"));
        Assert.Equal(folder, GgufFolder.Of(first, At("cache")));
        File.Delete(first);
        File.Move(second, first);
        Assert.NotEqual(folder, GgufFolder.Of(first, At("cache")));
    }

    private string Source()
    {
        var folder = Directory.CreateDirectory(At("source")).FullName;
        RandomModel.Write(folder, Llama);
        File.SetLastWriteTimeUtc(Path.Combine(folder, "model.safetensors"), Then);
        return folder;
    }

    private string At(string name) => Path.Combine(_temp, name);

    // Every value a little other; header, length and time stay.
    private static void Replace(string path)
    {
        var bytes = File.ReadAllBytes(path);
        long begin;
        using (var file = SafetensorsFile.Open(path)) begin = file.Entries.Min(entry => entry.Begin);
        foreach (ref var value in MemoryMarshal.Cast<byte, float>(bytes.AsSpan((int)begin))) value *= 1.25f;
        File.WriteAllBytes(path, bytes);
        File.SetLastWriteTimeUtc(path, Then);
    }

    private static void BreakOff(Action<CancellationToken, Action<long, long>> work)
    {
        using var stop = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => work(stop.Token, (done, total) =>
        {
            if (done > total / 2) stop.Cancel();
        }));
    }

    private void AssertSame(string expected, string actual)
    {
        string[] files = [.. Directory.GetFiles(At(expected)).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];
        Assert.True(files.Length > 3, "the folder has too few shards to tell anything");
        Assert.Equal(files, Directory.GetFiles(At(actual)).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal));
        Assert.All(files, name => Assert.Equal(File.ReadAllBytes(Path.Combine(At(expected), name)), File.ReadAllBytes(Path.Combine(At(actual), name))));
    }
}
