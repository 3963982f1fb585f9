using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;

namespace Trainer.Ground.Tests.Checkpoints;

public sealed class SmallFileTests : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    public void Dispose()
    {
        File.Delete(_path);
        File.Delete(_path + ".link");
    }

    [Theory]
    [InlineData("a\nb\r\nc\rd", "a|b|c|d")]
    [InlineData("a\n\nb\n", "a||b")]
    [InlineData("", "")]
    [InlineData("\n", "")]
    public void Lines_end_as_those_of_any_reader(string text, string lines)
    {
        File.WriteAllText(_path, text);
        Assert.Equal(lines, string.Join('|', SmallFile.Lines(_path)));
        Assert.Equal(File.ReadAllLines(_path), SmallFile.Lines(_path));
    }

    [Fact]
    public void A_line_without_an_end_is_refused_by_its_number_once_it_is_longer_than_any()
    {
        File.WriteAllText(_path, "one\n" + new string('x', 20) + "\n" + new string('y', 21));
        var seen = new List<string>();
        var fault = Assert.Throws<BadFileException>(() =>
        {
            foreach (var line in SmallFile.Lines(_path, most: 20)) seen.Add(line);
        });
        Assert.Equal(2, seen.Count);
        Assert.StartsWith($"line 3 of '{_path}' has more than", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_longer_than_any_of_its_kind_is_not_read()
    {
        using (var file = File.OpenWrite(_path)) file.SetLength(3L << 30);
        // A link tells its own length, and is read as what it points to.
        var link = _path + ".link";
        File.CreateSymbolicLink(link, _path);
        foreach (var read in new Func<object>[] { () => SmallFile.Bytes(_path), () => SmallFile.Text(_path), () => SmallFile.Bytes(link),
            () => { SmallFile.Require(link); return ""; } })
            Assert.Contains("has 3072 MiB, and no file of its kind has more than 64", Assert.Throws<BadFileException>(read).Message, StringComparison.Ordinal);
    }
}
