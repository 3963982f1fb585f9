using System.Text.Json;
using System.Text.RegularExpressions;
using Trainer.Data;
using Trainer.Data.Chat;
using Trainer.Data.Conversations;

namespace Trainer.Engine.Tests.Data.Chat;

/// <summary>Random rows of every dialect over every template: each piece of the row is in the text or is reported, what is trained is the assistant's, all of
/// it, and nothing else.</summary>
public sealed partial class AnyRowTests
{
    [GeneratedRegex("[SDUARCTF]w[0-9]+x")]
    private static partial Regex Words();

    public static TheoryData<string> Fixtures() => [.. MaskFixtures.FixtureTemplates()];

    public static TheoryData<string> Templates() => [.. MaskFixtures.AllTemplates()];

    [Theory]
    [MemberData(nameof(Fixtures))]
    [Trait("ring", "unit")]
    public void A_few_rows(string template) => Check(template, 0, 4);

    [Theory]
    [MemberData(nameof(Templates))]
    [Trait("ring", "slow")]
    public void Many_rows(string template) => Check(template, 1000, 60);

    private static void Check(string template, int first, int count)
    {
        var source = File.ReadAllText(template);
        var eos = MaskFixtures.EosOf(source);
        var builder = MaskFixtures.Builder(source, eos);
        // Every template gets rows of its own, the same in every run.
        var salt = Path.GetFileName(template).Sum(letter => letter) * 7919;
        for (var seed = first; seed < first + count; seed++) Check(builder, new AnyRow(seed + salt), $"{Path.GetFileName(template)}, row {seed}");
    }

    private static void Check(AssistantMaskBuilder builder, AnyRow row, string name)
    {
        var given = row.Messages.ToJsonString();
        AssistantSpans found;
        ChatRow read;
        try
        {
            read = ChatReader.Read([(JsonDocument.Parse(given).RootElement, "messages")], row.System, ToolList.Read(row.Tools, "tools"));
            found = builder.Build(read, TrainOn.Assistant, 0, null);
        }
        catch (ChatMaskException refused)
        {
            Assert.True(refused.Fault == ChatFault.NotRendered, $"{name}: {refused.Message}\n{given}\n{row.Tools}");
            return;
        }
        var trained = string.Concat(found.Spans.Select(span => found.Text[span.Start..span.End] + "\n"));
        var said = $"{given} {row.System} {row.Tools}";
        foreach (var word in Words().Matches(said).Select(match => match.Value).Distinct())
        {
            var isThere = found.Text.Contains(word, StringComparison.Ordinal);
            var (what, isTrained) = word[0] switch { 'R' => ("reasoning", true), 'C' => ("tool_calls", true), 'A' => ("content", true), 'F' => ("tools", false),
                _ => ("content", false) };
            if (what == "tools") isThere |= found.Text.Contains("weather", StringComparison.Ordinal); // many templates write the names of tools alone
            Assert.True(isThere || found.Losses.Any(loss => loss.What == what && (what == "tools" || loss.IsAssistant == isTrained)),
                $"{name}: '{word}' is lost and not reported\n{said}\n{found.Text}");
            if (what == "tools") continue;
            isTrained &= !row.Untrained.Contains(word);
            Assert.True(!isThere || isTrained == trained.Contains(word, StringComparison.Ordinal),
                $"{name}: '{word}' is {(isTrained ? "not " : "")}trained\n{said}\n{found.Text}\n[[{trained}]]");
        }
        Assert.DoesNotContain("{'type': 'text'", found.Text, StringComparison.Ordinal);
    }
}
