using System.Text;
using CsCheck;
using Trainer.Tokenizers;
using Trainer.Tokenizers.Alignment;
using Trainer.Tokenizers.Patterns;
using Trainer.Tokenizers.PreTokenizers;

namespace Trainer.Ground.Tests.Tokenizers;

[Trait("ring", "unit")]
public class PatternTests
{
    [Fact]
    public void Patterns_of_published_models_split_as_in_the_reference_or_are_refused()
    {
        var refused = new List<string>();
        var exact = 0;
        foreach (var item in GoldenFiles.Json(Path.Combine(GoldenFiles.Fixtures, "split-oracle.json.gz")).EnumerateArray())
        {
            var pattern = item.GetProperty("pattern").GetString()!;
            Splitter splitter;
            try
            {
                splitter = new Splitter(new PatternMatcher(pattern), Enum.Parse<SplitBehavior>(item.GetProperty("behavior").GetString()!),
                    item.GetProperty("invert").GetBoolean());
            }
            catch (TokenizerException fault)
            {
                refused.Add(fault.Message);
                continue;
            }
            foreach (var (input, tokens) in item.GetProperty("inputs").EnumerateArray().Zip(item.GetProperty("tokens").EnumerateArray()))
            {
                var text = input.GetString()!;
                Assert.True(tokens.EnumerateArray().Select(token => token.GetString()!).SequenceEqual(Split(splitter, text)),
                    $"{item.GetProperty("id")}: {pattern} on '{text}': {string.Join('|', Split(splitter, text))}");
            }
            exact++;
        }
        Assert.True(exact >= 65, $"{exact} exact; refused: {string.Join("\n", refused)}");
    }

    [Theory]
    [InlineData(KnownPatterns.Gpt2)]
    [InlineData(KnownPatterns.Llama3)]
    [InlineData(KnownPatterns.Qwen2)]
    public void A_hand_written_scanner_finds_what_its_pattern_finds(string pattern)
    {
        var scanner = KnownPatterns.Matcher(pattern);
        var general = new PatternMatcher(pattern);
        Assert.IsNotType<PatternMatcher>(scanner);
        var random = new Random(1);
        string[] parts = ["'", "s", "S", "T", "re", "LL", "ſ", "K", " ", "  ", "\t", "\n", "\r", "\u0085", "\u00a0", "a", "Ж", "𝒜", "1", "٣", "²", "𝟙", "!",
            "…", "🦙", "\u0301", "\ufffe", "\u200b", "ve", "d"];
        for (var round = 0; round < 20_000; round++)
        {
            var text = new StringBuilder();
            for (var i = random.Next(12); i >= 0; i--)
                text.Append(parts[random.Next(parts.Length)]);
            Same(scanner, general, text.ToString());
        }
        for (var codePoint = 0; codePoint < 0x20000; codePoint++)
        {
            if (codePoint is < 0xD800 or >= 0xE000)
                Same(scanner, general, $"a {char.ConvertFromUtf32(codePoint)}'{char.ConvertFromUtf32(codePoint)}1{char.ConvertFromUtf32(codePoint)}\n");
        }
    }

    [Theory]
    [InlineData(@"(a)\1", "refers back")]
    [InlineData(@"\X", @"\X")]
    [InlineData(@"a(", "unclosed")]
    [InlineData(@"[a", "unclosed")]
    [InlineData(@"a)", "unmatched")]
    [InlineData(@"\p{Klingon}", "Klingon")]
    [InlineData(@"(?i:strasse)", "ignores case")]
    [InlineData(@"(?i:[ß])", "ignores case")]
    [InlineData(@"(?s).", "option")]
    [InlineData(@"(?i:[a-z&&[^b]])", "intersection")]
    [InlineData(@"(?<=\R)a", "looks behind")]
    [InlineData(@"*a", "repeats nothing")]
    [InlineData(@"a{5000}", "too often")]
    public void What_cannot_be_expressed_exactly_is_refused(string pattern, string reason)
    {
        var fault = Assert.Throws<TokenizerException>(() => new PatternMatcher(pattern));
        Assert.Contains(reason, fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(@"\w+", "a²b c", "a²b| |c")]
    [InlineData(@"[\w]+", "a²b", "a|²|b")]
    [InlineData(@"a{,2}", "aaab", "aa|a|b")]
    [InlineData(@"a{2}+", "aaaaab", "aaaa|ab")]
    [InlineData(@"a++a", "aaab", "aaab")]
    [InlineData(@"$", "a\nb\n", "a|\nb|\n")]
    [InlineData(@"^", "a\nb", "a\n|b")]
    [InlineData(@"a*^", "b\n", "b\n")]
    [InlineData(@"x*", "axb", "a|x|b")]
    [InlineData(@"(?m)a.b", "a\nb", "a\nb")]
    [InlineData(@"(?i)k", "K", "K")]
    [InlineData(@"[[a-c]&&[b]]", "abc", "a|b|c")]
    [InlineData(@"\p{Han}+", "a漢字b", "a|漢字|b")]
    [InlineData(@"[𝒜-𝒵]", "a𝒞b", "a|𝒞|b")]
    [InlineData(@"[]a]", "]a", "]|a")]
    [InlineData(@"(?i:i)", "İıiI", "İı|i|I")]
    [InlineData(@"(?i:σ)", "ςσΣ", "ς|σ|Σ")]
    [InlineData(@"(?i:ǆ)", "ǅǄǆ", "ǅ|Ǆ|ǆ")]
    [InlineData(@"(?i:\p{Lu})", "aBc", "a|B|c")]
    [InlineData(@"(?i:[a-z])+", "ſKa!", "ſKa|!")]
    [InlineData(@"\u0041+", "uA", "u|A")]
    [InlineData(@"\p{Word}+", "z²!", "z²|!")]
    [InlineData(@"[^\S\n]+", "a  \n b", "a|  |\n| |b")]
    public void Details_of_the_dialect_are_followed(string pattern, string text, string pieces)
    {
        Assert.Equal(pieces, string.Join('|', Split(new Splitter(new PatternMatcher(pattern), SplitBehavior.Isolated), text)));
    }

    [Fact]
    public void Any_pattern_runs_or_is_refused_and_never_crashes()
    {
        string[] parts = ["a", "[", "]", "(", ")", "(?:", "(?i)", "(?<=", "(?!", "\\", "\\p{L}", "\\p{", "}", "{", "{2,3}", "*", "+", "?", "|", "^", "$", "-",
            "&&", "[:alpha:]", "\\x{", "\\u12", "𝒜", "\ud835", ".", "\\b", "\\R", "(?#", "(?x) ", "#", "ß", "(?i:", "\\9"];
        Gen.Int[0, parts.Length - 1].Array[1, 12].Sample(picks =>
        {
            try
            {
                new PatternMatcher(string.Concat(picks.Select(pick => parts[pick]))).Find("aß b\n𝒜-", new MatchList());
            }
            catch (TokenizerException)
            {
            }
        }, iter: 2000, threads: 1);
    }

    private static IEnumerable<string> Split(Splitter splitter, string text) =>
        splitter.Apply(new PieceText(new AlignedText(text.ToCharArray(), text.Length, 0), text.Length == 0 ? [] : [new Piece(0, text.Length)]))
            .Pieces.Select(piece => text[piece.Begin..piece.End]);

    private static void Same(IMatcher one, PatternMatcher other, string text)
    {
        var (first, second) = (new MatchList(), new MatchList());
        one.Find(text, first);
        other.Find(text, second);
        var same = first.Count == second.Count && Enumerable.Range(0, first.Count).All(i => first[i] == second[i]);
        Assert.True(same,
            $"'{text}': {string.Join(' ', Enumerable.Range(0, first.Count).Select(i => first[i]))} but "
            + $"{string.Join(' ', Enumerable.Range(0, second.Count).Select(i => second[i]))}");
    }
}
