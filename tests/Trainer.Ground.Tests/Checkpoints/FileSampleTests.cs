using Trainer.Checkpoints;
using Trainer.Checkpoints.Runs;

namespace Trainer.Ground.Tests.Checkpoints;

public sealed class FileSampleTests : IDisposable
{
    private static readonly DateTime Then = new(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc);

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_copy_with_its_time_is_the_same_file_and_another_time_is_not()
    {
        var bytes = Random(300_000, 1);
        var sample = Of(Write("a/f", bytes));
        Assert.Equal(sample, Of(Write("b/f", bytes)));
        File.SetLastWriteTimeUtc(_folder["b/f"], Then.AddSeconds(1));
        Assert.NotEqual(sample, Of(_folder["b/f"]));
    }

    [Theory]
    [InlineData(0, 100)]
    [InlineData(101, 20)]
    [InlineData(100_000, 100_000)]
    [InlineData(200_000, 100_000)]
    [InlineData(299_990, 10)]
    public void Other_content_of_the_same_length_and_time_is_told_wherever_a_part_of_it_is_other(int begin, int count)
    {
        var bytes = Random(300_000, 1);
        var sample = Of(Write("f", bytes));
        for (var i = begin; i < begin + count; i++) bytes[i] ^= 1;
        Assert.NotEqual(sample, Of(Write("f", bytes)));
    }

    [Fact]
    public void Of_a_file_of_many_parts_each_is_looked_at()
    {
        var bytes = Random(3000 * 5000, 1);
        (long, long)[] parts = [.. Enumerable.Range(0, 3000).Select(i => (i * 5000L, 5000L))];
        var sample = FileSample.Of(Write("f", bytes), 0, parts);
        for (var i = 2000; i < 5000; i++) bytes[1234 * 5000 + i] ^= 1;
        Assert.NotEqual(sample, FileSample.Of(Write("f", bytes), 0, parts));
    }

    [Fact]
    public void A_file_of_unknown_parts_is_sampled_over_all_its_length()
    {
        var bytes = Random(40_000_000, 1);
        var sample = FileSample.Of(Write("f", bytes));
        for (var i = 30_000_000; i < 31_000_000; i++) bytes[i] ^= 1;
        Assert.NotEqual(sample, FileSample.Of(Write("f", bytes)));
        Assert.NotEqual(FileSample.Of(Write("e", [])), FileSample.Of(Write("e", [1])));
    }

    [Fact]
    public void A_file_that_ends_before_its_parts_or_is_none_is_refused()
    {
        Assert.Contains("ends early", Assert.Throws<BadFileException>(() => Of(Write("f", Random(1000, 1)))).Message, StringComparison.Ordinal);
        Assert.Contains("nothing", Assert.Throws<BadFileException>(() => Of(_folder["nothing"])).Message, StringComparison.Ordinal);
    }

    private static string Of(string path) => FileSample.Of(path, 101, [(101, 20), (121, 99_879), (100_000, 100_000), (200_000, 100_000)]);

    private string Write(string name, byte[] bytes)
    {
        var path = _folder.Write(name, bytes);
        File.SetLastWriteTimeUtc(path, Then);
        return path;
    }

    private static byte[] Random(int count, int seed)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
