namespace Trainer.Ground.Tests.ChatTemplates;

[Trait("ring", "unit")]
public sealed class TemplatesRenderAsPythonTests
{
    public static TheoryData<string> Names
        => [.. Directory.GetFiles(TemplateFixtures.Own, "*.jinja").Select(file => Path.GetFileNameWithoutExtension(file)!).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Texts_errors_and_generation_spans_equal_the_references(string name) =>
        Assert.Equal([], TemplateFixtures.Differences(TemplateFixtures.Own, name));

    [SkippableFact]
    public void Every_shared_golden_is_equal()
    {
        Skip.IfNot(Directory.Exists(TemplateFixtures.Shared), "the shared golden templates are not beside the repository");
        foreach (var file in Directory.GetFiles(TemplateFixtures.Shared, "*.jinja"))
            Assert.Equal([], TemplateFixtures.Differences(TemplateFixtures.Shared, Path.GetFileNameWithoutExtension(file)));
    }
}
