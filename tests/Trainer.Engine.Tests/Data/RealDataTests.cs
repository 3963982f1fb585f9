using System.IO.Compression;
using Trainer.Data;
using Trainer.Data.Batching;
using Trainer.Tokenizers;

namespace Trainer.Engine.Tests.Data;

/// <summary>Sets as people have them, where they lie beside the repository.</summary>
[Trait("ring", "model")]
public sealed class RealDataTests
{
    private static readonly Lazy<HfTokenizer> Tokenizer = new(() => HfTokenizer.Load(Shared("models/stories260K")));

    private static string Shared(string path)
    {
        var folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "Trainer.sln"))) folder = Path.GetDirectoryName(folder);
        var full = Path.GetFullPath(Path.Combine(folder ?? "", "..", "shared", path));
        Skip.IfNot(File.Exists(full) || Directory.Exists(full), $"'../shared/{path}' is not here");
        return full;
    }

    private static DataOptions Options(string path, params (string, string)[] columns) => new()
    {
        Train = [new DataSource(Shared(path), 1, columns.Length == 0 ? null : columns.ToDictionary(each => each.Item1, each => each.Item2))],
    };

    private static Dataset Build(DataOptions options) => DatasetBuilder.Build(options, Tokenizer.Value);

    [SkippableTheory]
    [InlineData("data/wikisql-mlx", 1000, 100)]
    [InlineData("data/tinystories-sample", 2116, 200)]
    public void A_folder_of_text_reads_with_its_held_out_split(string path, int train, int eval)
    {
        using var set = Build(Options(path));
        Assert.Equal((train, (long)eval), (set.Train.Count, set.EvalStatistics!.Rows));
        Assert.Equal(set.Train.Tokens - train, set.Train.TrainedTokens);
    }

    [SkippableFact]
    public void Gsm8k_reads_by_a_mapping_and_says_which_without_one()
    {
        using var set = Build(Options("data/gsm8k", ("prompt", "question"), ("completion", "answer")));
        Assert.Equal(7473, set.Train.Count);
        Assert.InRange(set.Train.TrainedTokens, 1, set.Train.Tokens / 2 + set.Train.Tokens / 4);
        Assert.Contains("instruction=question,output=answer", Assert.Throws<DataException>(() => Build(Options("data/gsm8k"))).Message,
            StringComparison.Ordinal);
    }

    [SkippableFact]
    public void Plain_text_reads_as_documents_in_windows()
    {
        using var play = Build(Options("data/tinyshakespeare/input.txt") with { MaxSeqLength = 512 });
        Assert.Equal(1, play.Statistics.Rows);
        Assert.True(play.Train.Count > 500);
        using var stories = Build(Options("data/tinystories-sample/tinystories_sample.txt"));
        Assert.True(stories.Train.Count > 2300);
    }

    [SkippableFact]
    public void Alpaca_without_a_template_uses_the_alpaca_prompt()
    {
        using var set = Build(Options("data/llamafactory-demo/identity.json"));
        Assert.Equal(91, set.Train.Count);
    }

    [SkippableTheory]
    [InlineData("identity.json", 91, "instruction")]
    [InlineData("glaive_toolcall_en_demo.json", 300, "chat")]
    public void Chats_and_tool_calls_read_by_a_model_s_own_template(string file, int rows, string kind)
    {
        using var folder = new DataFolder();
        foreach (var name in new[] { "tokenizer.json", "tokenizer_config.json" })
            using (var packed = new GZipStream(File.OpenRead(Shared("golden/tokenization/tokenizers/lenml-qwen2_5/" + name + ".gz")),
                CompressionMode.Decompress))
            {
                using var bytes = new MemoryStream();
                packed.CopyTo(bytes);
                folder.Write(name, bytes.ToArray());
            }
        var text = ModelText.Load(folder.Path, Shared("golden/tokenization/templates/lcpp__Qwen-Qwen2.5-7B-Instruct.jinja"));
        var options = Options("data/llamafactory-demo/" + file);
        var report = DataInspector.Check(options, text);
        Assert.Empty(report.Faults.Where(fault => fault.Kind != FaultKind.TooLong).Select(fault => fault.Message));
        Assert.Equal((rows, kind), ((int)report.Statistics.Rows, report.Statistics.Files[0].Kind));
        Assert.InRange(report.TrainedShare, 0.1, 0.9);
        foreach (var row in DataInspector.Show(options, text).Take(20))
        {
            Assert.NotEmpty(row.TrainedSpans);
            Assert.All(row.TrainedSpans, span => Assert.Contains("<|im_end|>", row.Text[span.Start..span.End], StringComparison.Ordinal));
            var trained = row.Ids.Where((id, t) => row.Labels[t] == id).ToArray();
            Assert.Equal(string.Concat(row.TrainedSpans.Select(span => row.Text[span.Start..span.End])),
                text.Tokenizer!.Decode(trained, skipSpecialTokens: false));
        }
    }

    [SkippableFact]
    public void Web_text_reads()
    {
        using var set = Build(Options("data/llamafactory-demo/c4_demo.jsonl") with { OnTooLong = OnTooLong.Split });
        Assert.Equal(300, set.Statistics.Rows);
    }

    [SkippableTheory]
    [InlineData("data/wikisql-mlx", "", "")]
    [InlineData("data/gsm8k", "question", "answer")]
    public void Grouped_batches_waste_less_than_a_twentieth(string path, string prompt, string completion)
    {
        using var set = Build(prompt.Length == 0 ? Options(path) : Options(path, ("prompt", prompt), ("completion", completion)));
        foreach (var batchSize in new[] { 2, 4, 8, 16 })
            for (var epoch = 0; epoch < 3; epoch++)
                Assert.InRange(new BatchPlan(set.Train, new BatchPlanOptions { BatchSize = batchSize }).PaddingShare(epoch), 0, 0.05);
        Assert.InRange(new BatchPlan(set.Train, new BatchPlanOptions { Packing = true }).PackingEfficiency(0), 0.95, 1);
    }
}
