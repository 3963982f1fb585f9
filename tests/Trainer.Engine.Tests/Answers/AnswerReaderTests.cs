using Trainer.Data;
using Trainer.Data.Answers;
using Trainer.Engine.Tests.Models;

namespace Trainer.Engine.Tests.Answers;

/// <summary>Rows of every kind as questions with the answer that is wanted.</summary>
public sealed class AnswerReaderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("answers").FullName;
    private readonly ModelText _text = ModelText.Load(ReferenceData.Embedded);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private IReadOnlyList<AnswerRow> Read(string rows, string? answer = null, Dictionary<string, string>? columns = null, OnBadRow onBadRow = OnBadRow.Error)
    {
        var file = Path.Combine(_folder, "rows.jsonl");
        File.WriteAllText(file, rows);
        return AnswerReader.Read(new DataOptions { Train = [new DataSource(file, 1, columns)], OnBadRow = onBadRow }, _text, answer);
    }

    private string Prompt(AnswerRow row) => _text.Tokenizer!.Decode(row.Prompt, skipSpecialTokens: false);

    [Theory]
    [InlineData("""{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}""", null, "A")]
    [InlineData("""{"conversations":[{"from":"human","value":"Q"},{"from":"gpt","value":"A"}]}""", null, "A")]
    [InlineData("""{"instruction":"Q","output":"A"}""", null, "A")]
    [InlineData("""{"prompt":"Q","completion":[{"role":"assistant","content":"A"}]}""", null, "A")]
    [InlineData("""{"messages":[{"role":"user","content":"Q"}],"label":"A"}""", "label", "A")]
    [InlineData("""{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"long A"}],"label":7}""", "label", "7")]
    [InlineData("""{"instruction":"Q","label":"A"}""", "label", "A")]
    public void A_row_asks_what_stands_before_its_answer(string row, string? answer, string expected)
    {
        var read = Assert.Single(Read(row, answer));
        Assert.Equal(expected, read.Reference);
        // Whatever wrote it, the question is the same conversation up to the assistant's turn.
        Assert.Equal(Prompt(Assert.Single(Read("""{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}"""))), Prompt(read));
        Assert.EndsWith("assistant\n", Prompt(read), StringComparison.Ordinal);
    }

    [Fact]
    public void A_plain_prompt_stays_plain_and_columns_are_mapped()
    {
        Assert.Equal("2 + 2 =", Prompt(Assert.Single(Read("""{"prompt":"2 + 2 =","completion":" 4"}"""))), ignoreLineEndingDifferences: true);
        var mapped = Assert.Single(Read("""{"question":"Q","answer":"so 3 #### 3"}""", null, new() { ["instruction"] = "question", ["output"] = "answer" }));
        Assert.Equal("so 3 #### 3", mapped.Reference);
        Assert.Equal("so 3 #### 3", Assert.Single(Read("""{"question":"Q","answer":"so 3 #### 3"}""", "answer",
            new() { ["instruction"] = "question", ["output"] = "answer" })).Reference);
    }

    [Theory]
    [InlineData("""{"text":"a"}""", null, "asks nothing")]
    [InlineData("""{"messages":[{"role":"user","content":"Q"}]}""", null, "--answer")]
    [InlineData("""{"messages":[{"role":"assistant","content":"A"}]}""", null, "no turn before")]
    [InlineData("""{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}""", "label", "no column 'label'")]
    public void A_row_that_asks_nothing_is_refused_by_line_or_dropped(string row, string? answer, string why)
    {
        Assert.Contains(why, Assert.Throws<DataException>(() => Read(row, answer)).Message, StringComparison.Ordinal);
        Assert.Contains("rows.jsonl:1", Assert.Throws<DataException>(() => Read(row, answer)).Message, StringComparison.Ordinal);
        Assert.Contains("no row is left", Assert.Throws<DataException>(() => Read(row, answer, null, OnBadRow.Drop)).Message, StringComparison.Ordinal);
    }
}
