using Trainer.Adapters;
using Trainer.Adapters.Merge;
using Trainer.Checkpoints.Folders;
using Trainer.Checkpoints.Gguf;
using Trainer.Engine.Gguf;
using Trainer.Engine.Vocabulary;
using Trainer.Models;
using Trainer.Models.Families;
using Trainer.Tokenizers;
using Trainer.Training;
using Trainer.Training.Plan;

namespace Trainer.Engine.Tests.Models;

/// <summary>Bases with more tokens: the old ones are what they were, new rows begin at their pieces, and adapters, merged models and GGUF files carry
/// them.</summary>
[Trait("ring", "model")]
public sealed class GrownFolderTests : IDisposable
{
    private static readonly string[] Texts = ["<|tool|>", "Krakenwort"];
    private static readonly int[] Prompt = [3, 14, 15, 92, 65];
    private readonly string _temp = Directory.CreateTempSubdirectory("grown-").FullName;

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Old_tokens_are_as_before_and_new_rows_begin_at_the_mean_of_their_pieces(bool isTied)
    {
        var model = Base(isTied, 768);
        var (folder, ids) = GrownFolder.Of(model, [.. Texts, "e"], Path.Combine(_temp, "cache"));
        Assert.Equal([768, 769, HfTokenizer.Load(model).IdOf("e")!.Value], ids);
        Assert.Equal(folder, GrownFolder.Of(model, Texts, Path.Combine(_temp, "cache")).Folder);
        using CausalModel before = Load(model), after = Load(folder);
        Assert.Equal(770, after.Config.VocabularySize);
        var (old, grown) = (Logits(before), Logits(after));
        for (var token = 0; token < Prompt.Length; token++) Assert.Equal(old.AsSpan(token * 768, 768), grown.AsSpan(token * 770, 768));
        var pieces = HfTokenizer.Load(model).Encode("Krakenwort", false).Ids;
        foreach (var column in new[] { 0, 31 }) Assert.Equal(pieces.Average(piece => Value(before, piece, column)), Value(after, 769, column), 1e-6);
        Assert.Equal([769], HfTokenizer.Load(folder).Encode("Krakenwort", false).Ids);
        Assert.Equal(model, GrownFolder.Of(model, ["e"], Path.Combine(_temp, "cache")).Folder);
    }

    [Fact]
    public void Rows_that_are_there_already_are_taken()
    {
        var (folder, ids) = GrownFolder.Of(Base(isTied: true, 800), Texts, Path.Combine(_temp, "cache"));
        Assert.Equal([768, 769], ids);
        Assert.Equal(800, ConfigLoader.Load(folder).VocabularySize);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_adapter_with_new_tokens_finds_its_base_and_merges_into_it_and_into_gguf(bool isTied)
    {
        var model = Base(isTied, 768);
        File.WriteAllText(Path.Combine(_temp, "new.txt"), string.Join('\n', Texts) + "\n");
        var options = new TrainingOptions { Model = model, ModelDirectory = model, Data = new(), OutputDirectory = "",
            Lora = new() { Rank = 2, AddTokens = Path.Combine(_temp, "new.txt") } };
        var said = new List<string>();
        options = NewTokens.Apply(options, said.Add);
        Assert.Contains("resize_token_embeddings(770)", string.Concat(said), StringComparison.Ordinal);
        Assert.Equal([768, 769], options.Lora.TrainableTokenIndices);
        Assert.Equal(isTied ? [] : [768, 769], options.Lora.TrainableHeadIndices);
        var adapter = Directory.CreateDirectory(Path.Combine(_temp, "adapter")).FullName;
        float[] trained;
        using (var grown = Load(options.ModelDirectory))
        {
            var spec = RunAdapter.SpecOf(options.Lora, grown.Config.LayerCount);
            AdapterInjector.Inject(grown, spec, 1);
            foreach (var entry in grown.Parameters.Entries)
                grown.Parameters.Write(entry, [.. Enumerable.Range(0, (int)entry.Count).Select(i => 0.02f * (i % 11 - 5))]);
            trained = Logits(grown, [768, 769]);
            PeftFolder.Save(adapter, grown, spec, model);
        }
        ModelFolderFiles.CopyTokenizer(TextFolders.Of(options.ModelDirectory, null), adapter);
        // Of the base as the user names it, the same folder is found again.
        var found = GrownBase.For(model, adapter, Path.Combine(_temp, "other"));
        using (var loaded = Load(found))
        {
            PeftFolder.Load(loaded, adapter);
            Assert.Equal(trained, Logits(loaded, [768, 769]));
        }
        ModelMerger.Merge(found, adapter, Path.Combine(_temp, "merged"), new MergeOptions());
        using (var merged = Load(Path.Combine(_temp, "merged"))) Assert.InRange(Golden.LargestDifference(trained, Logits(merged, [768, 769])), 0, 1e-4);
        GgufModelExporter.Export(Path.Combine(_temp, "merged"), Path.Combine(_temp, "m.gguf"), new GgufModelOptions { Type = GgufTensorType.F32 });
        var read = GgufFolder.Of(Path.Combine(_temp, "m.gguf"), Path.Combine(_temp, "gguf"));
        using (var back = Load(read)) Assert.InRange(Golden.LargestDifference(trained, Logits(back, [768, 769])), 0, 1e-4);
        Assert.Equal([769, 768], HfTokenizer.Load(read).Encode("Krakenwort<|tool|>", false).Ids);
        // Without the tokenizer nobody can say what the rows are of.
        File.Delete(Path.Combine(adapter, "tokenizer.json"));
        Assert.Contains("no tokenizer", Assert.Throws<AdapterException>(() => GrownBase.For(model, adapter, _temp)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a\nb\na\n", "line 3: 'a' stands in line 1")]
    [InlineData("a\n  \n", "line 2: no token is blank")]
    [InlineData("a\tb\n", "line 1: no token is blank, longer than 1000 characters or holds control")]
    [InlineData("\n\n", "holds no token")]
    public void A_file_that_is_no_list_of_tokens_is_refused_by_line(string text, string said)
    {
        var file = Path.Combine(_temp, "new.txt");
        File.WriteAllText(file, text);
        var options = new TrainingOptions { Model = "m", ModelDirectory = Base(isTied: true, 768), Data = new(), OutputDirectory = "",
            Lora = new() { AddTokens = file } };
        Assert.Contains(said, Assert.Throws<OptionException>(() => NewTokens.Apply(options, _ => { })).Message, StringComparison.Ordinal);
    }

    private string Base(bool isTied, int rows)
    {
        var folder = Directory.CreateDirectory(Path.Combine(_temp, "base")).FullName;
        RandomModel.Write(folder, $$"""
            {"model_type": "llama", "vocab_size": {{rows}}, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
             "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "tie_word_embeddings": {{(isTied ? "true" : "false")}}}
            """);
        ModelFolderFiles.CopyTokenizer(TextFolders.Of(ReferenceData.Embedded, null), folder);
        return folder;
    }

    private static CausalModel Load(string folder) => CausalModel.Load(folder, new ModelLoadOptions { Engine = EngineKind.Reference });

    private static unsafe float Value(CausalModel model, int row, int column)
    {
        float value;
        model.Embedding.Weight.Read(row, column, 1, &value);
        return value;
    }

    private static float[] Logits(CausalModel model, params int[] more)
    {
        using var logits = model.Logits(TokenBatch.OfTokens([.. Prompt, .. more]));
        return logits.data<float>().ToArray();
    }
}
