using System.Text;
using Trainer.Data;
using Trainer.Data.Reading;

namespace Trainer.Engine.Tests.Data;

[Trait("ring", "unit")]
public sealed class ReaderTests : IDisposable
{
    private readonly DataFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string[] Texts(string name, byte[] content, Func<DataOptions, DataOptions>? change = null)
    {
        var options = DataFolder.Options(_folder.Write(name, content));
        using var set = DataFolder.Build(change is null ? options : change(options));
        return [.. Enumerable.Range(0, set.Train.Count).Select(i => DataFolder.Text(set.Train[i].InputIds)[3..^4])];
    }

    private string[] Texts(string name, string content) => Texts(name, Encoding.UTF8.GetBytes(content));

    private string Refused(string name, byte[] content) => Assert.Throws<DataException>(() => Texts(name, content)).Message;

    private string Refused(string name, string content) => Refused(name, Encoding.UTF8.GetBytes(content));

    [Fact]
    public void Lines_may_end_in_crlf_be_blank_and_start_with_a_byte_order_mark() =>
        Assert.Equal(["a", "b"], Texts("a.jsonl", "\uFEFF{\"text\": \"a\"}\r\n\r\n  \n{\"text\": \"b\"}"));

    [Fact]
    public void Compressed_files_are_read() => Assert.Equal(["a"], Texts("a.jsonl.gz", DataFolder.Gzip("\uFEFF{\"text\": \"a\"}\n")));

    [Theory]
    [InlineData("[{\"text\": \"a\"},\n {\"text\": \"b]}\\\"\"}\n]\n")]
    [InlineData("{\"text\": \"a\"}\n{\"text\": \"b]}\\\"\"}")]
    [InlineData("{\n\"text\": \"a\"\n}{\"text\": \"b]}\\\"\"}")]
    public void Json_is_an_array_or_objects_one_behind_the_other(string json) => Assert.Equal(["a", "b]}\""], Texts("a.json", json));

    [Theory]
    [InlineData("[{\"text\": \"a\"}\n {\"text\": \"b\"}]", "a.json:2, column 2): a comma")]
    [InlineData("[{\"text\": \"a\"},\n", "a.json:2, column 1): the file ends before the closing bracket")]
    [InlineData("[{\"text\": \"a\"},\n{\"text\": ", "a.json:2, column 1): the file ends inside the row")]
    [InlineData("[[1]]", "a row is an array")]
    [InlineData("[1]", "a row must be an object")]
    [InlineData("[{\"text\": \"a\"}] x", "text after the closing bracket")]
    [InlineData("[\n{\"text\":\n x}]", "(at line 3, column 2)")]
    [InlineData("", "a.json): it holds no rows")]
    [InlineData("[]", "a.json): it holds no rows")]
    public void Broken_json_names_its_place(string json, string reason) => Assert.Contains(reason, Refused("a.json", json), StringComparison.Ordinal);

    [Fact]
    public void A_text_file_is_one_document_or_documents_between_markers()
    {
        Assert.Equal(["a b\n\nc"], Texts("a.txt", "\n a b\r\n\r\nc\n"));
        Assert.Equal(["a", "b"], Texts("a.txt", "a\n<|endoftext|>\nb\n<|endoftext|>\n"));
    }

    [Fact]
    public void A_long_text_file_is_laid_out_in_windows_without_being_asked()
    {
        var path = _folder.Write("a.txt", new string('x', 1000));
        using var set = DataFolder.Build(DataFolder.Options(path) with { MaxSeqLength = 100 });
        Assert.Equal(1002, set.Train.Tokens);
        Assert.Equal(11, set.Train.Count);
    }

    [Fact]
    public void A_document_in_pieces_joins_to_the_whole()
    {
        var text = string.Join("\n", Enumerable.Range(0, 500).Select(i => $"line {i} \U0001F600"));
        var pieces = Trainer.Data.Reading.TextReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text + "<|endoftext|>b")), "a.txt",
            new Limits(DocumentChars: 64)).ToList();
        Assert.Equal(text, string.Concat(pieces.SkipLast(1).Select(piece => piece.Document)));
        Assert.Equal("b", pieces[^1].Document);
        Assert.False(pieces[0].ContinuesBefore);
        Assert.False(pieces[^2].ContinuesAfter);
        Assert.All(pieces.Skip(1).SkipLast(1), piece => Assert.True(piece.ContinuesBefore));
        Assert.Equal(500, pieces[^1].Source.Line);
    }

    [Fact]
    public void Broken_utf8_names_line_and_column()
    {
        byte[] bad = [.. "{\"text\": \"a\"}\n{\"text\": \""u8, 0xE2, 0x82, .. "\"}"u8];
        Assert.Contains("a.jsonl:2, column 11): the text is not valid UTF-8", Refused("a.jsonl", bad), StringComparison.Ordinal);
        byte[] text = [.. "ab\nc"u8, 0xFF, .. "d"u8];
        Assert.Contains("a.txt:2, column 2", Refused("a.txt", text), StringComparison.Ordinal);
        byte[] cut = [.. "ab\nc"u8, 0xE2, 0x82];
        Assert.Contains("a.txt:2, column 2", Refused("a.txt", cut), StringComparison.Ordinal);
        Assert.Contains("UTF-16", Refused("b.txt", Encoding.Unicode.GetPreamble().Concat(Encoding.Unicode.GetBytes("ab")).ToArray()), StringComparison.Ordinal);
    }

    [Fact]
    public void Utf8_is_checked_across_the_borders_of_reads()
    {
        var bytes = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("aé€\U0001F600\n", 50)));
        for (var size = 1; size < 9; size++)
        {
            var checking = new Utf8CheckingStream(new MemoryStream(bytes), "x");
            var buffer = new byte[size];
            var all = new List<byte>();
            for (int n; (n = checking.Read(buffer)) > 0;) all.AddRange(buffer[..n]);
            Assert.Equal(bytes, all);
        }
    }

    [Fact]
    public void A_line_beyond_the_limit_is_a_fault_of_its_row_alone()
    {
        var bytes = Encoding.UTF8.GetBytes("{\"text\": \"a\"}\n{\"text\": \"" + new string('x', 300_000) + "\"}\n{\"text\": \"b\"}\n");
        foreach (var rows in new[] { JsonLinesReader.Read(new MemoryStream(bytes), "a", new Limits(1000)),
            JsonReader.Read(new MemoryStream(bytes), "a", new Limits(1000)) })
        {
            var all = rows.ToList();
            Assert.Equal([null, FaultKind.Malformed, null], all.Select(row => row.Fault?.Kind));
            Assert.Equal([1, 2, 3], all.Select(row => row.Source.Line));
            Assert.Contains("300012 bytes long", all[1].Fault!.Reason, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_line_of_a_hundred_megabytes_is_a_fault_and_the_next_row_is_read()
    {
        var rows = JsonLinesReader.Read(new Endless(100L << 20, "\n{\"text\": \"b\"}\n"u8.ToArray()), "f", Limits.Default).ToList();
        Assert.Equal([FaultKind.Malformed, null], rows.Select(row => row.Fault?.Kind));
        Assert.Equal(2, rows[1].Source.Line);
    }

    /// <summary>So many letters, and then a tail.</summary>
    private sealed class Endless(long letters, byte[] tail) : MemoryStream(tail)
    {
        private long _left = letters;

        public override int Read(byte[] buffer, int offset, int count)
        {
            if (_left == 0) return base.Read(buffer, offset, count);
            var n = (int)Math.Min(_left, count);
            buffer.AsSpan(offset, n).Fill((byte)'x');
            _left -= n;
            return n;
        }
    }

    [Fact]
    public void A_cut_gzip_file_is_refused()
    {
        var whole = DataFolder.Gzip(string.Concat(Enumerable.Range(0, 5000).Select(i => $"{{\"text\": \"row {i * 7919}\"}}\n")));
        Assert.Contains("a.jsonl.gz", Refused("a.jsonl.gz", whole[..(whole.Length / 2)]), StringComparison.Ordinal);
        // every row is there, the proof that it is all of them is not
        Assert.Contains("a.jsonl.gz", Refused("a.jsonl.gz", whole[..^8]), StringComparison.Ordinal);
        whole[^6] ^= 1;
        Assert.Contains("damaged", Refused("a.jsonl.gz", whole), StringComparison.Ordinal);
        Assert.Contains("no gzip file", Refused("a.jsonl.gz", "no gzip"u8.ToArray()), StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_gives_its_train_and_valid_splits()
    {
        _folder.Write("train.jsonl", "{\"text\": \"a\"}\n");
        _folder.Write("valid.jsonl", "{\"text\": \"b\"}\n");
        _folder.Write("test.jsonl", "{\"text\": \"c\"}\n");
        _folder.Write("notes.md", "x");
        using var set = DataFolder.Build(DataFolder.Options(_folder.Path));
        Assert.Equal("<s>a</s>", DataFolder.Text(set.Train[0].InputIds));
        Assert.Equal("<s>b</s>", DataFolder.Text(set.Eval![0].InputIds));
        _folder.Write("train.json", "{}");
        Assert.Contains("one split twice: 'train.json', 'train.jsonl'",
            Assert.Throws<DataException>(() => DataFolder.Build(DataFolder.Options(_folder.Path))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Held_out_text_that_is_too_long_is_laid_out_in_windows()
    {
        _folder.Write("train.jsonl", "{\"text\": \"a\"}\n");
        _folder.Write("valid.jsonl", "{\"text\": \"abcdefghijkl\"}\n");
        using var set = DataFolder.Build(DataFolder.Options(_folder.Path) with { MaxSeqLength = 8 });
        Assert.Equal((2, 14), (set.Eval!.Count, set.Eval.Tokens));
        Assert.Equal(1, set.EvalStatistics!.SplitRows);
    }

    [Fact]
    public void Missing_paths_and_unknown_formats_are_refused()
    {
        Assert.Contains("nothing is there", Assert.Throws<DataException>(() => DataFolder.Build(DataFolder.Options("/nowhere/a.jsonl"))).Message,
            StringComparison.Ordinal);
        Assert.Contains("unknown format", Refused("a.xyz", "x"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_share_is_held_out_the_same_every_time_and_the_hash_follows_the_bytes()
    {
        var options = DataFolder.Options(_folder.Write("a.jsonl",
            string.Concat(Enumerable.Range(0, 100).Select(i => $"{{\"text\": \"{i}\"}}\n")))) with { EvalSplit = 0.1 };
        using var first = DataFolder.Build(options);
        using var second = DataFolder.Build(options);
        Assert.Equal((90, 10), (first.Train.Count, first.Eval!.Count));
        Assert.Equal(Enumerable.Range(0, 10).Select(i => first.Eval.Source(i)), Enumerable.Range(0, 10).Select(i => second.Eval!.Source(i)));
        Assert.Equal(first.DataHash, second.DataHash);
        _folder.Write("a.jsonl", "{\"text\": \"0\"}\n{\"text\": \"1\"}\n");
        using var other = DataFolder.Build(options with { EvalSplit = 1 });
        Assert.NotEqual(first.DataHash, other.DataHash);
    }
}
