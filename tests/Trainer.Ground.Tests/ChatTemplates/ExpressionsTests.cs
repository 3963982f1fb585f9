using System.Text.Json;
using Trainer.Templates;

namespace Trainer.Ground.Tests.ChatTemplates;

[Trait("ring", "unit")]
public sealed class ExpressionsTests
{
    [Fact]
    public void Two_thousand_small_templates_equal_the_reference()
    {
        var fixture = TemplateFixtures.Json(Path.Combine(TemplateFixtures.Own, "expressions.json"));
        var variables = fixture.GetProperty("variables").EnumerateObject().ToDictionary(entry => entry.Name, entry => entry.Value);
        var wrong = new List<string>();
        foreach (var row in fixture.GetProperty("cases").EnumerateArray())
        {
            var source = row.GetProperty("template").GetString()!;
            var wanted = row.TryGetProperty("text", out var text) ? "= " + text.GetString() : row.GetProperty("error").GetString()!;
            var got = Outcome(source, variables);
            if (wanted != got) wrong.Add($"{source}\n  wanted {wanted}\n  got    {got}");
        }
        Assert.Equal([], wrong);
    }

    private static string Outcome(string source, Dictionary<string, JsonElement> variables)
    {
        try
        {
            return "= " + ChatTemplate.Parse(source, "case")
                .Render(new TemplateInput { Messages = variables["messages"], Variables = variables, Now = TemplateFixtures.Today }).Text;
        }
        catch (TemplateException error)
        {
            return error.Kind;
        }
    }
}
