using Trainer.Tokenizers;

namespace Trainer.Ground.Tests.Tokenizers;

public sealed class StopFilterTests
{
    [Theory]
    [InlineData("one two three", "two", "one ")]
    [InlineData("a\n\nUser: b", "\n\nUser:", "a")]
    [InlineData("a\n\nUsual", "\n\nUser:", "a\n\nUsual")]
    [InlineData("aab", "ab", "a")]
    [InlineData("ends with us", "user", "ends with us")]
    [InlineData("🙂🙃🙂", "🙃", "🙂")]
    [InlineData("no stop 🙂", null, "no stop 🙂")]
    public void Text_ends_before_a_stop_string_however_it_is_cut_up(string text, string? stop, string expected)
    {
        for (var size = 1; size <= text.Length; size++)
        {
            var filter = new StopFilter(stop is null ? [] : [stop]);
            var parts = text.Chunk(size).Select(part => filter.Add(new string(part))).ToList();
            parts.Add(filter.Flush());
            Assert.Equal(expected, string.Concat(parts));
            Assert.Equal(expected != text, filter.HasStopped);
            // Each part is written and flushed on its own: a half pair would come out as U+FFFD.
            Assert.DoesNotContain(parts, part => part.Length > 0 && (char.IsHighSurrogate(part[^1]) || char.IsLowSurrogate(part[0])));
        }
    }

    [Fact]
    public void Text_is_held_back_only_while_it_may_become_a_stop_string()
    {
        var filter = new StopFilter(["STOP", "END"]);
        string[] parts = [filter.Add("all "), filter.Add("S"), filter.Add("x"), filter.Add("ST"), filter.Add("O"), filter.Add("E"), filter.Add("ND")];
        Assert.Equal(["all ", "", "Sx", "", "", "STO", ""], parts);
    }

    [Fact]
    public void The_earliest_of_several_stop_strings_counts()
    {
        var filter = new StopFilter(["later", "early"]);
        Assert.Equal("x ", filter.Add("x early later"));
        Assert.Equal("", filter.Add("more"));
        Assert.Equal("", filter.Flush());
    }
}
