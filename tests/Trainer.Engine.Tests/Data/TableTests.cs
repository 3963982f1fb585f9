using System.Text;
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
        path = _folder.Write("b.csv", "messages\n\"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"a\"\"},{\"\"role\"\":\"\"assistant\"\",\"\"content\"\":\"\"b\"\"}]\"\n");
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
        var path = Parquet(new ParquetSchema(new ListField("messages", new StructField("element", new DataField<string>("role"), new DataField<string>("content")))),
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
        path = Parquet(new ParquetSchema(new ListField("input_ids", new DataField<long>("element"))), new Dictionary<string, object?> { ["input_ids"] = new List<long> { 5, 6 } });
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
        Assert.Equal(["""{"tools":[{"name":"p","required":[]},{"name":"q","required":["r"]},{"name":"t"},{"name":"u","required":[]}]}""", """{"tools":[]}"""], rows.Take(2));
    }

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
        Assert.Contains("a.parquet:1): column 'text' is an object", Assert.Throws<DataException>(() => DataFolder.Build(DataFolder.Options(path))).Message, StringComparison.Ordinal);
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
        Assert.Contains("b.parquet:1", Assert.Throws<DataException>(() => DataFolder.Build(DataFolder.Options(_folder.Write("b.parquet", Encoding.UTF8.GetBytes("PAR1"))))).Message, StringComparison.Ordinal);
    }
}
