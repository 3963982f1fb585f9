using System.Text;
using CsCheck;
using Trainer.Data;
using Trainer.Data.Reading;
using Trainer.Data.Rows;

namespace Trainer.Engine.Tests.Data;

/// <summary>Whatever the bytes, a reader answers rows or one sentence of ours.</summary>
[Trait("ring", "unit")]
public sealed class FuzzTests
{
    private const string Rows =
        """
        {"messages": [{"role": "user", "content": "hällo \ud83d\ude00"}, {"role": "assistant", "content": "b", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"x": [1, null, true]}}}]}], "tools": [{"type": "function"}], "weight": 1.5}
        {"messages": [{"role": "user", "content": "€ and 😀"}, {"role": "assistant", "content": ""}]}
        """;

    private const string Ids = """{"input_ids": [5, 6, 7], "labels": [-100, 6, 7], "weight": 2}""" + "\n";
    private const string Shared =
        """{"conversations": [{"from": "human", "value": "a"}, {"from": "function_call", "value": "{\"name\": \"f\"}"}, {"from": "gpt", "value": "c"}], "tools": "[]"}"""
        + "\n";
    private const string Csv = "prompt,completion,weight\n\"a \"\"quoted\"\" one,\nwith a break\",b,2\nü,€,\n";
    private const string Text = "one\n<|endoftext|>\ntwo 😀\r\nthree";

    private static readonly Gen<(int Place, int Kind, byte Value)[]> Edits = Gen.Select(Gen.Int[0, int.MaxValue], Gen.Int[0, 4], Gen.Byte).Array[0, 6];

    private static byte[] Edited(string content, (int Place, int Kind, byte Value)[] edits)
    {
        var bytes = Encoding.UTF8.GetBytes(content).ToList();
        foreach (var (place, kind, value) in edits)
        {
            var at = place % (bytes.Count + 1);
            if (kind == 0) bytes.Insert(at, value);
            else if (kind == 1 && at < bytes.Count) bytes[at] = value;
            else if (kind == 2 && at < bytes.Count) bytes.RemoveAt(at);
            else if (kind == 3) bytes.InsertRange(at, "{\"[],:}\\\n"u8.ToArray()[(value % 9)..]);
            else if (kind == 4 && value < 16) bytes.RemoveRange(at, bytes.Count - at);
        }
        return [.. bytes];
    }

    private static void Survives(string content, Func<Stream, IEnumerable<RawRow>> read) => Edits.Sample(edits =>
    {
        var bytes = Edited(content, edits);
        var encoder = new RowEncoder(new CharTokenizer(), new ChatMl(), new DataOptions { MaxSeqLength = 400 });
        try
        {
            foreach (var row in read(new MemoryStream(bytes)))
            {
                var outcome = encoder.Encode(row, null);
                if (outcome.Fault is { } fault)
                {
                    Assert.True(fault.Reason.Length > 0 && !fault.Message.Contains('\n'), fault.Message);
                    Assert.True(fault.Source.Line >= 1);
                }
                else Assert.NotEmpty(outcome.Parts);
                foreach (var part in outcome.Parts)
                {
                    Assert.Equal(part.Ids.Length, part.Labels.Length);
                    Assert.InRange(part.TrainedTokens, 1, 399);
                }
            }
        }
        catch (DataException fault)
        {
            Assert.Contains("f", fault.Message, StringComparison.Ordinal);
        }
    }, iter: 1000, threads: 1);

    [Fact]
    public void Lines_of_json() => Survives(Rows, stream => JsonLinesReader.Read(stream, "f", new Limits(600)));

    [Fact]
    public void Lines_of_ids() => Survives(Ids, stream => JsonLinesReader.Read(stream, "f", Limits.Default));

    [Fact]
    public void Lines_of_sharegpt() => Survives(Shared, stream => JsonLinesReader.Read(stream, "f", Limits.Default));

    [Fact]
    public void Json() => Survives("[" + Rows.Replace("\n", ",\n", StringComparison.Ordinal) + "]", stream => JsonReader.Read(stream, "f", new Limits(600)));

    [Fact]
    public void Csv_files() => Survives(Csv, stream => CsvRowReader.Read(stream, "f", Limits.Default));

    [Fact]
    public void Text_files() => Survives(Text, stream => Trainer.Data.Reading.TextReader.Read(stream, "f", new Limits(DocumentChars: 16)));

    [Fact]
    public void Json_and_json_lines_agree_on_well_formed_rows() => Gen.String.Array[1, 8].Sample(texts =>
    {
        var rows = texts.Select(text => System.Text.Json.JsonSerializer.Serialize(new { text })).ToList();
        var lines = JsonLinesReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(string.Join('\n', rows))), "f", Limits.Default);
        var array = JsonReader.Read(new MemoryStream(Encoding.UTF8.GetBytes("[" + string.Join(",\n", rows) + "]")), "f", Limits.Default);
        Assert.Equal(lines.Select(row => Encoding.UTF8.GetString(row.Json.Span)), array.Select(row => Encoding.UTF8.GetString(row.Json.Span)));
    }, iter: 300, threads: 1);
}
