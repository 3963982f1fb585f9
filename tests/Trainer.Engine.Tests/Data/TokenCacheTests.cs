using Trainer.Data;
using Trainer.Data.Rows;

namespace Trainer.Engine.Tests.Data;

[Trait("ring", "unit")]
public sealed class TokenCacheTests : IDisposable
{
    private readonly DataFolder _folder = new();
    private readonly DataOptions _options;

    public TokenCacheTests()
    {
        var rows = string.Concat(Enumerable.Range(0, 3000).Select(i => $"{{\"text\": \"row {i}\", \"weight\": {1 + i % 3}}}\n"));
        _options = DataFolder.Options(_folder.Write("a.jsonl", rows)) with { CacheDirectory = Path.Combine(_folder.Path, "cache") };
    }

    public void Dispose() => _folder.Dispose();

    private string[] Files => Directory.Exists(_options.CacheDirectory) ? Directory.GetFiles(_options.CacheDirectory!) : [];

    private sealed class Counting : IProgress<DataProgress>
    {
        public int Reports;
        public void Report(DataProgress value) => Reports++;
    }

    private static (Dataset Set, bool Tokenized) Build(DataOptions options, CharTokenizer? tokenizer = null, ChatMl? chat = null)
    {
        var progress = new Counting();
        var set = DatasetBuilder.Build(options, new TextTools(tokenizer ?? new CharTokenizer(), chat ?? new ChatMl()), progress);
        return (set, progress.Reports > 0);
    }

    [Fact]
    public void A_second_start_reads_the_same_examples_without_tokenizing()
    {
        using var plain = DataFolder.Build(_options with { CacheDirectory = null });
        using var first = Build(_options).Set;
        var (second, tokenized) = Build(_options);
        using var _ = second;
        Assert.False(tokenized);
        Assert.True(second.Statistics.FromCache);
        Assert.False(first.Statistics.FromCache || plain.Statistics.FromCache);
        foreach (var set in new[] { first, second })
        {
            Assert.Equal((plain.Train.Count, plain.Train.Tokens, plain.Train.TrainedTokens, plain.Train.MeanWeight),
                (set.Train.Count, set.Train.Tokens, set.Train.TrainedTokens, set.Train.MeanWeight));
            for (var i = 0; i < plain.Train.Count; i += 97)
            {
                Assert.Equal(plain.Train[i].InputIds, set.Train[i].InputIds);
                Assert.Equal(plain.Train[i].Labels, set.Train[i].Labels);
                Assert.Equal((plain.Train[i].Source, plain.Train[i].Weight), (set.Train[i].Source, set.Train[i].Weight));
            }
        }
        Assert.Equal(plain.Statistics.Lengths, second.Statistics.Lengths);
        Assert.Single(Files);
    }

    [Fact]
    public void Another_tokenizer_template_option_or_byte_is_another_cache()
    {
        Build(_options).Set.Dispose();
        Assert.True(Rebuilds(_options, new CharTokenizer { ContentHash = "other" }));
        Assert.True(Rebuilds(_options, chat: new ChatMl { ContentHash = "other" }));
        Assert.True(Rebuilds(_options with { MaxSeqLength = 100 }));
        Assert.True(Rebuilds(_options with { DropEmpty = true }));
        Assert.True(Rebuilds(_options with { Train = [_options.Train[0] with { Columns = new Dictionary<string, string> { ["ignore"] = "x" } }] }));
        File.AppendAllText(_options.Train[0].Path, "{\"text\": \"one more\"}\n");
        Assert.True(Rebuilds(_options));
        Assert.False(Rebuilds(_options with { EvalSplit = 0.1 }));

        static bool Rebuilds(DataOptions options, CharTokenizer? tokenizer = null, ChatMl? chat = null)
        {
            var (set, tokenized) = Build(options, tokenizer, chat);
            set.Dispose();
            return tokenized;
        }
    }

    [Fact]
    public void Any_damage_is_found_and_the_cache_made_again()
    {
        Build(_options).Set.Dispose();
        var path = Files.Single();
        var whole = File.ReadAllBytes(path);
        var random = new Random(5);
        for (var i = 0; i < 40; i++)
        {
            var bytes = whole.ToArray();
            if (i % 4 == 0) bytes = bytes[..random.Next(bytes.Length)];
            else bytes[i % 4 == 1 ? random.Next(64) : random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
            File.WriteAllBytes(path, bytes);
            var (set, tokenized) = Build(_options);
            Assert.True(tokenized, $"damage {i} was not seen");
            Assert.Equal(3000, set.Train.Count);
            set.Dispose();
            Assert.Equal(whole, File.ReadAllBytes(path));
        }
    }

    [Fact]
    public void A_refused_or_cancelled_run_leaves_no_file()
    {
        File.AppendAllText(_options.Train[0].Path, "nonsense\n");
        Assert.Throws<DataException>(() => Build(_options));
        Assert.Empty(Files);
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() => DatasetBuilder.Build(_options, new TextTools(new CharTokenizer()), null, cancelled.Token));
        Assert.Empty(Files);
    }

    [Fact]
    public void A_folder_that_cannot_be_written_only_costs_the_cache()
    {
        var (set, _) = Build(_options with { CacheDirectory = _options.Train[0].Path });
        Assert.Equal(3000, set.Train.Count);
        set.Dispose();
    }
}
