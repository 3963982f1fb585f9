using System.Diagnostics;
using System.Text.Json;
using CsCheck;
using Trainer.Templates;

namespace Trainer.Ground.Tests.ChatTemplates;

[Trait("ring", "unit")]
public sealed class TemplateLimitsTests
{
    private static readonly JsonElement Messages =
        JsonDocument.Parse("""[{"role":"user","content":"Hi 😀"},{"role":"assistant","content":"Yo"}]""").RootElement.Clone();

    public static TheoryData<string, string> Endless => new()
    {
        { "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", "LimitError" },
        { "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError" },
        { "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "RecursionError" },
        { "{% set ns = namespace(x='ab') %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", "LimitError" },
        { "{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", "LimitError" },
        { "{% set ns = namespace(x=(1,), y=(1,)) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) %}{% set ns.y = (ns.y, ns.y) %}{% endfor %}{{ ns.x == "
            + "ns.y }}", "LimitError" },
        { "{% set ns = namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}", "RecursionError" },
        { "{{ 'a' * 10**10 }}", "LimitError" },
        { "{{ 10 ** (10 ** 10) }}", "LimitError" },
        { "{{ '%1000000000d' % 1 }}", "LimitError" },
        { "{{ '{:1000000000}'.format(1) }}", "LimitError" },
        { "{{ range(10**30) }}", "OverflowError" },
        { "{{ (['a' * 10**6] * 10**5)|join }}", "LimitError" },
        { "{{ " + new string('(', 100_000) + "1", "RecursionError" },
        { "{{ 1" + string.Concat(Enumerable.Repeat("+1", 200_000)) + " }}", "RecursionError" },
        { string.Concat(Enumerable.Repeat("{% for x in [1] %}", 3000)), "SyntaxError" },
    };

    [Theory]
    [MemberData(nameof(Endless))]
    public void A_template_that_would_never_end_ends_in_an_error(string source, string kind)
    {
        var watch = Stopwatch.StartNew();
        var error = Assert.Throws<TemplateException>(() => Render(source));
        Assert.Equal(kind, error.Kind);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(180), $"took {watch.Elapsed}");
    }

    [Fact]
    public void The_sandbox_hides_what_python_hides()
    {
        Assert.Equal("", Render("{{ ''.__class__ }}{{ messages.append }}{{ namespace(_a=1)._a }}"));
        Assert.Equal("SecurityError", Assert.Throws<TemplateException>(() => Render("{{ messages.append(1) }}")).Kind);
        Assert.Equal("SecurityError", Assert.Throws<TemplateException>(() => Render("{{ ''.__class__.__mro__ }}")).Kind);
        Assert.Contains("include", Assert.Throws<TemplateException>(() => Render("{% include 'x' %}")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_message_says_what_where_and_what_to_do()
    {
        var error = Assert.Throws<TemplateException>(
            () => ChatTemplate.Parse("line\n{{ 'a' + messages }}", "my.jinja").Render(new TemplateInput { Messages = Messages }));
        Assert.Equal("the chat template cannot render the conversation ('my.jinja', line 2): TypeError: can only concatenate str (not \"list\") to str; give "
            + "a corrected template with --chat-template FILE", error.Message);
    }

    [Fact]
    public void Damaged_templates_never_crash()
    {
        var sources = Directory.GetFiles(TemplateFixtures.Own, "*.jinja").Select(File.ReadAllText).ToArray();
        var pieces = new[] { "{{", "}}", "{%", "%}", "{#", "#}", "-", "+", "'", "\"", "\\", "(", ")", "[", "]", "{", "}", "|", ".", ",", ":", "~", "**", " if ",
            " else ", " in ", " is ", "for", "endfor", "raw", "endraw", "0", "1e9", "\0", "\ud83d", "é", "\n", "messages", "range(9)", "loop", "tojson", "%s",
            "{0}" };
        var edit = Gen.Select(Gen.Int[0, 999], Gen.Int[0, pieces.Length - 1], Gen.Int[0, 30]);
        Gen.Select(Gen.Int[0, sources.Length - 1], edit.Array[1, 6]).Sample((which, edits) =>
        {
            var source = sources[which];
            foreach (var (place, piece, cut) in edits)
            {
                var at = place * source.Length / 1000;
                source = source[..at] + pieces[piece] + source[Math.Min(source.Length, at + cut)..];
            }
            Survives(source);
        }, iter: 2000);
    }

    [Fact]
    public void Random_tokens_never_crash()
    {
        var words =
            ("{{ }} {% %} messages x 1 2.5 'a' \"é😀\" none true [ ] ( ) { } : , . | ~ + - * / // % ** == < in not and or is if else for endfor set endset = "
            + "macro endmacro call endcall filter endfilter with endwith generation endgeneration raw endraw break continue loop namespace dict range "
            + "upper join map select tojson length format role content").Split(
            ' ');
        Gen.Int[0, words.Length - 1].Array[1, 25].Sample(parts => Survives(string.Join(' ', parts.Select(part => words[part]))), iter: 4000);
    }

    private static void Survives(string source)
    {
        try
        {
            Render(source);
        }
        catch (TemplateException)
        {
            // Refusing is what is wanted; anything else fails the test.
        }
    }

    private static string Render(string source) => ChatTemplate.Parse(source, "test").Render(new TemplateInput { Messages = Messages }).Text;
}
