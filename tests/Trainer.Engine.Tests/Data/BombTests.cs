using System.IO.Compression;
using System.Text;
using Trainer.Data;

namespace Trainer.Engine.Tests.Data;

/// <summary>Small files that would be large, or deep, or one endless line: refused at a stated limit, long before memory or time runs out.</summary>
[Trait("ring", "slow")]
public sealed class BombTests : IDisposable
{
    private const int Expanded = 96 << 20;

    private readonly DataFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("blank.jsonl", "", "\n")]
    [InlineData("line.jsonl", "{\"text\": \"", "a")]
    [InlineData("blank.csv", "text\n", "\n")]
    [InlineData("quoted.csv", "text\n\"", "x")]
    [InlineData("list.json", "[", " ")]
    public void A_packed_file_that_expands_as_no_data_does_is_refused(string name, string head, string repeated)
    {
        foreach (var (ending, pack) in new (string, Func<Stream, Stream>)[] { (".gz", file => new GZipStream(file, CompressionLevel.Optimal)),
            (".zst", file => new ZstdSharp.CompressionStream(file)) })
        {
            var path = _folder.Write(name + ending, "");
            using (var file = File.Create(path))
            using (var packed = pack(file))
            {
                packed.Write(Encoding.UTF8.GetBytes(head));
                var block = Enumerable.Repeat((byte)repeated[0], 1 << 20).ToArray();
                for (var at = 0; at < Expanded; at += block.Length) packed.Write(block);
            }
            Assert.Contains("expands to more than 200 times its size", Refused(path), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Endless_lines_and_deep_values_are_refused_where_they_begin()
    {
        Assert.Contains("has more than 1024 KiB without a line break", Refused(_folder.Write("columns.csv", new string(',', 2 << 20))),
            StringComparison.Ordinal);
        Assert.Contains("maximum configured depth of 64", Refused(_folder.Write("deep.jsonl", string.Concat(Enumerable.Repeat("{\"text\":", 100_000)))),
            StringComparison.Ordinal);
        Assert.Contains("not valid JSON", Refused(_folder.Write("deep.json", new string('[', 200_000))), StringComparison.Ordinal);
    }

    private static string Refused(string path) => Assert.Throws<DataException>(() => DataFolder.Build(DataFolder.Options(path)).Dispose()).Message;
}
