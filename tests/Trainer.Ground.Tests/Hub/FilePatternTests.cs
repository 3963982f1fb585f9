using Trainer.Hub;

namespace Trainer.Ground.Tests.Hub;

public class FilePatternTests
{
    [Theory]
    [InlineData("*.json", "a/b.json", true)]
    [InlineData("model-0000?-of*", "model-00001-of-00002.safetensors", true)]
    [InlineData("[ab].txt", "b.txt", true)]
    [InlineData("[!ab].txt", "b.txt", false)]
    [InlineData("original/", "original/x.pth", true)]
    [InlineData("[", "[", true)]
    [InlineData("[]]x", "]x", true)]
    [InlineData("a[z-a]", "ab", false)]
    [InlineData("a\\d", "a1", false)]
    [InlineData("a+(b", "a+(b", true)]
    public void A_pattern_is_that_of_a_shell(string pattern, string path, bool isChosen) => Assert.Equal(isChosen, FilePattern.IsChosen(path, [pattern]));

    [Fact]
    public void No_pattern_takes_long() => Assert.False(FilePattern.IsChosen(new string('a', 20_000), ["*a*a*a*a*a*a*a*a*a*a*b"]));
}
