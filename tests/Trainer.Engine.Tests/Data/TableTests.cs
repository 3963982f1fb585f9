using System.Text;
using System.Text.Json;
using Parquet.Schema;
using Parquet.Serialization;
using Trainer.Data;
using Trainer.Data.Reading;

namespace Trainer.Engine.Tests.Data;

[Trait("ring", "unit")]
public sealed class TableTests : IDisposable
{
    private readonly DataFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string Refused(string csv) => Assert.Throws<DataException>(() => DataFolder.Build(DataFolder.Options(_folder.Write("a.csv", csv)))).Message;

    private static string[] Rows(Dataset set) => [.. Enumerable.Range(0, set.Train.Count).Select(i => DataFolder.Text(set.Train[i].InputIds))];

    [Fact]
    public void Csv_values_may_hold_quotes_commas_and_line_breaks()
    {
        var path = _folder.Write("a.csv", "\uFEFFprompt,completion,weight\r\n\"a, \"\"b\"\"\nc\",d,2\r\n\r\n#x,y,\r\n");
        using var set = DataFolder.Build(DataFolder.Options(path));
        Assert.Equal(["<s>a, \"b\"\ncd</s>", "<s>#xy</s>"], Rows(set));
        Assert.Equal([2f, 1f], Enumerable.Range(0, 2).Select(i => set.Train[i].Weight));
        Assert.Equal([2, 5], Enumerable.Range(0, 2).Select(i => (int)set.Train.Source(i).Line));
    }

    [Fact]
    public void Csv_may_hold_messages_and_ids_as_json()
    {
        var path = _folder.Write("a.csv", "input_ids,labels\n\"[5,6]\",\"[-100,6]\"\n");
        using var set = DataFolder.Build(DataFolder.Options(path));
        Assert.Equal([-100, 6], set.Train[0].Labels);
        path = _folder.Write("b.csv",
            "messages\n\"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"a\"\"},{\"\"role\"\":\"\"assistant\"\",\"\"content\"\":\"\"b\"\"}]\"\n");
        using var chat = DataFolder.Build(DataFolder.Options(path));
        Assert.Equal("b<|im_end|>", DataFolder.Trained(chat.Train[0]));
    }

    [Theory]
    [InlineData("text\nhello, world\n", "a.csv:2): the row has 2 fields and the header 1")]
    [InlineData("text,weight\na,1\nb\n", "a.csv:3): the row has 1 fields and the header 2")]
    [InlineData("text,weight\n\"abc\ndef,1\n", "a.csv:2): a quoted field")]
    [InlineData("text,weight\n\"a\"b,1\n", "a.csv:2): a delimiter, newline")]
    [InlineData("text,text\na,b\n", "names column 'text' twice")]
    [InlineData("text,weight\na,much\n", "column 'weight' is a string; it must be a number")]
    [InlineData("", "has no header line")]
    [InlineData("text\n", "holds no rows")]
    public void Broken_csv_is_refused(string csv, string reason) => Assert.Contains(reason, Refused(csv), StringComparison.Ordinal);

    private string Parquet(ParquetSchema schema, params IDictionary<string, object?>[] rows)
    {
        var bytes = new MemoryStream();
        ParquetSerializer.SerializeUntypedAsync(rows, schema, bytes).GetAwaiter().GetResult();
        return _folder.Write("a.parquet", bytes.ToArray());
    }

    [Fact]
    public void Parquet_strings_and_numbers_are_read()
    {
        var path = Parquet(new ParquetSchema(new DataField<string>("text"), new DataField<double>("weight"), new DataField<string>("source")),
            new Dictionary<string, object?> { ["text"] = "a", ["weight"] = 1.5, ["source"] = null },
            new Dictionary<string, object?> { ["text"] = "é\"", ["weight"] = 2.5, ["source"] = "web" });
        using var set = DataFolder.Build(DataFolder.Options(path));
        Assert.Equal(["<s>a</s>", "<s>é\"</s>"], Rows(set));
        Assert.Equal(2f, set.Train.MeanWeight);
        Assert.Equal(1, set.Statistics.IgnoredColumns["source"]);
    }

    [Fact]
    public void Parquet_lists_and_structs_are_read()
    {
        var path = Parquet(new ParquetSchema(new ListField("messages",
            new StructField("element", new DataField<string>("role"), new DataField<string>("content")))),
            new Dictionary<string, object?>
            {
                ["messages"] = new List<IDictionary<string, object?>>
                {
                    new Dictionary<string, object?> { ["role"] = "user", ["content"] = "a" },
                    new Dictionary<string, object?> { ["role"] = "assistant", ["content"] = "b" },
                },
            });
        using var set = DataFolder.Build(DataFolder.Options(path));
        Assert.Equal("b<|im_end|>", DataFolder.Trained(set.Train[0]));
        path = Parquet(new ParquetSchema(new ListField("input_ids", new DataField<long>("element"))),
            new Dictionary<string, object?> { ["input_ids"] = new List<long> { 5, 6 } });
        using var ids = DataFolder.Build(DataFolder.Options(path));
        Assert.Equal([5, 6], ids.Train[0].InputIds);
    }

    [Fact]
    public async Task An_empty_list_in_parquet_is_empty_and_a_null_one_is_not_there()
    {
        var bytes = new MemoryStream();
        Tool[] tools = [new() { name = "p", required = [] }, new() { name = "q", required = ["r"] }, new() { name = "t" }, new() { name = "u", required = [] }];
        await ParquetSerializer.SerializeAsync(new[] { new ToolRow { tools = tools.ToList() }, new ToolRow { tools = [] }, new ToolRow() }, bytes);
        var rows = ParquetRowReader.Read(bytes, "a.parquet", Limits.Default).Select(row => Encoding.UTF8.GetString(row.Json.Span)).ToList();
        Assert.Equal(["""{"tools":[{"name":"p","required":[]},{"name":"q","required":["r"]},{"name":"t","required":null},{"name":"u","required":[]}]}""",
            """{"tools":[]}""", """{"tools":null}"""], rows);
    }

    /// <summary>Columns of many pages whose borders lie in the midst of rows, lists of lists, and all that may be null or empty.</summary>
    [Theory]
    [InlineData("pages.parquet")]
    [InlineData("pages-zstd.parquet")]
    public void Columns_of_many_pages_are_put_together_as_their_writer_had_them(string file)
    {
        using var stream = File.OpenRead(Path.Combine(Fixtures, file));
        var rows = ParquetRowReader.Read(stream, file, Limits.Default).Select(row => row.Json).ToList();
        Assert.Equal(700, rows.Count);
        using var written = JsonDocument.Parse(File.ReadAllText(Path.Combine(Fixtures, "pages.json")));
        foreach (var expected in written.RootElement.EnumerateArray())
            Assert.True(JsonElement.DeepEquals(expected.GetProperty("value"), JsonDocument.Parse(rows[expected.GetProperty("row").GetInt32()]).RootElement),
                $"row {expected}");
    }

    [Fact]
    [Trait("ring", "slow")]
    public void A_million_rows_of_one_row_group_take_no_more_memory_than_the_first()
    {
        using var stream = File.OpenRead(Path.Combine(Fixtures, "million.parquet"));
        var (rows, first, most) = (0, 0L, 0L);
        foreach (var row in ParquetRowReader.Read(stream, "million.parquet", Limits.Default))
        {
            if (rows++ % 100_000 != 50_000) continue;
            var live = GC.GetTotalMemory(forceFullCollection: true);
            if (first == 0) first = live;
            most = Math.Max(most, live - first);
        }
        Assert.Equal(1_000_000, rows);
        Assert.InRange(most, long.MinValue, 4 << 20);
    }

    [Fact]
    public void A_data_file_tells_its_columns_types_and_rows()
    {
        Assert.Equal((1_000_000, "text string, id int32"), Columns(Path.Combine(Fixtures, "million.parquet")));
        Assert.Equal((700, "messages list<struct<role: string, content: string, tool_calls: list<struct<id: string, function: struct<name: string, arguments: "
            + "struct<city: string, days: list<int32>>>>>>>, source string, scores list<float64>"),
            Columns(Path.Combine(Fixtures, "pages.parquet")));
        Assert.Equal((3, "a number or string 2, b list 1, c null 0"), Columns(_folder.Write("a.json", """[{"a":1,"b":[]},{"a":"x","c":null},{}]""")));
        Assert.Equal((1, "text string 1"), Columns(_folder.Write("a.csv", "text\nx\n")));
        Assert.Equal(1, DataFile.Read(_folder.Write("b.jsonl", "{\"a\":1}\n{oops\n")).BadRows);
        Assert.Contains("a.parquet:1): its footer is damaged",
            Assert.Throws<DataException>(() => DataFile.Read(_folder.Write("a.parquet",
            [.. "PAR1"u8, 0x19, 0xF9, 0xFF, 0xFF, 4, 0, 0, 0, .. "PAR1"u8]))).Message, StringComparison.Ordinal);

        static (long, string) Columns(string path)
            => DataFile.Read(path) is var file ? (file.Rows, string.Join(", ",
                file.Columns.Select(column => $"{column.Name} {column.Type}{(column.Rows is { } rows ? " " + rows : "")}"))) : default;
    }

    [Fact]
    public void Lists_in_pages_of_version_2_are_refused_with_the_way_out()
    {
        var fault = Assert.Throws<DataException>(() => DataFile.Read(Path.Combine(Fixtures, "pages-v2.parquet")));
        Assert.Contains("data pages of version 2, which are not read; write it with version 1", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_page_larger_than_can_be_held_is_refused()
    {
        var bytes = File.ReadAllBytes(Path.Combine(Fixtures, "million.parquet"));
        // The first page's header with a size of two gigabytes unpacked: kind, size unpacked, size, dictionary page { values }.
        Assert.Equal([0x15, 0x04, 0x15], bytes[4..7]);
        byte[] header = [0x15, 0x04, 0x15, 0xFE, 0xFF, 0xFF, 0xFF, 0x0F, 0x15, 0xD8, 0x01, 0x4C, 0x15, 0x10, 0x00, 0x00];
        header.CopyTo(bytes, 4);
        using var stream = new MemoryStream(bytes);
        var fault = Assert.Throws<DataException>(() => ParquetRowReader.Read(stream, "m.parquet", Limits.Default).First());
        Assert.Contains("a page of its column 'text' has", fault.Message, StringComparison.Ordinal);
        Assert.Contains("write it with smaller pages", fault.Message, StringComparison.Ordinal);
    }

    private static string Fixtures => Path.Combine(Chat.MaskFixtures.Repository, "tests", "fixtures", "data");

    private sealed class ToolRow
    {
        public List<Tool>? tools { get; set; }
    }

    private sealed class Tool
    {
        public string? name { get; set; }
        public List<string>? required { get; set; }
    }

    [Fact]
    [Trait("ring", "slow")]
    public void A_struct_where_text_is_needed_is_refused_and_so_is_a_damaged_file()
    {
        var path = Parquet(new ParquetSchema(new StructField("text", new DataField<string>("body"))),
            new Dictionary<string, object?> { ["text"] = new Dictionary<string, object?> { ["body"] = "a" } });
        Assert.Contains("a.parquet:1): column 'text' is an object", Assert.Throws<DataException>(() => DataFolder.Build(DataFolder.Options(path))).Message,
            StringComparison.Ordinal);
        var whole = File.ReadAllBytes(path);
        var random = new Random(1);
        for (var i = 0; i < 200; i++)
        {
            var bytes = whole.ToArray();
            if (i % 3 == 0) bytes = bytes[..random.Next(bytes.Length)];
            else
                for (var k = 0; k < 3; k++) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            var damaged = _folder.Write("b.parquet", bytes);
            Assert.ThrowsAny<DataException>(() => DataFolder.Build(DataFolder.Options(damaged)));
        }
        Assert.Contains("b.parquet:1",
            Assert.Throws<DataException>(() => DataFolder.Build(DataFolder.Options(_folder.Write("b.parquet", Encoding.UTF8.GetBytes("PAR1"))))).Message,
            StringComparison.Ordinal);
    }
}
