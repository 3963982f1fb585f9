using Trainer.Data;
using Trainer.Data.Prompts;
using Trainer.Data.Rows;

namespace Trainer.Engine.Tests.Data;

/// <summary>Rows that ask the model something: what it reads, what is left to the reward program, what is refused.</summary>
[Trait("ring", "unit")]
public sealed class PromptRowTests : IDisposable
{
    private readonly DataFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private const string Asked = "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n";

    [Theory]
    [InlineData("""{"prompt": "2 + 2 =", "answer": 4, "how": {"hard": [1]}}""", "<s>2 + 2 =")]
    [InlineData("""{"prompt": [{"role":"user","content":"a"}], "completion": "b", "label": true}""", Asked)]
    [InlineData("""{"messages": [{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}""", Asked)]
    [InlineData("""{"conversations": [{"from":"human","value":"a"}], "solution": "b"}""", Asked)]
    [InlineData("""{"instruction": "a", "output": "b"}""", Asked)]
    [InlineData("""{"prompt": "a", "system": "s"}""", "<|im_start|>system\ns<|im_end|>\n" + Asked)]
    [InlineData("""{"prompt_ids": [1, 20], "answer": "x"}""", "<s>\u0004")]
    public void A_prompt_is_what_stands_before_the_answer(string row, string expected)
    {
        using var set = DataFolder.Build(Options(row));
        var batch = set.Train.Batch([0]);
        Assert.Equal(expected, DataFolder.Text(batch.TokenIds));
        Assert.Equal([SegmentRole.Prompt], batch.Roles);
        Assert.Equal((0, 1), (batch.TrainedTokens, batch.RowCount));
        Assert.Equal(new AnswerCounts(Prompts: 1), set.Statistics.Answers);
        Assert.Equal("1 prompts to answer", set.Statistics.Answers.Words());
    }

    [Theory]
    [InlineData("""{"question": "a"}""", "the row has no prompt: it has no column 'prompt'")]
    [InlineData("""{"prompt": " "}""", "the prompt is empty")]
    [InlineData("""{"prompt_ids": []}""", "the prompt is empty")]
    [InlineData("""{"messages": [{"role":"assistant","content":"b"}]}""", "no turn that could be answered")]
    [InlineData("""{"prompt": "a long prompt of many letters"}""", "the prompt has 30 tokens, more than --max-seq-length 20")]
    public void What_asks_nothing_is_refused_with_file_and_line(string row, string what)
    {
        var fault = Assert.Throws<DataException>(() => DataFolder.Build(Options(row) with { MaxSeqLength = 20 }));
        Assert.Contains(what, fault.Message, StringComparison.Ordinal);
        Assert.Contains(":1)", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Rows_come_back_whole_for_whoever_rewards()
    {
        var options = Options("{\"prompt\": \"a\", \"answer\": 4}\n{\"prompt\": \"b\", \"tests\": [\"x\"]}");
        using var set = DataFolder.Build(options);
        var rows = PromptRows.Read(options, [set.Train]);
        Assert.Equal("4", rows[set.Train.Source(0)].GetProperty("answer").GetRawText());
        Assert.Equal("x", rows[set.Train.Source(1)].GetProperty("tests")[0].GetString());
    }

    [Fact]
    public void A_shown_prompt_is_one_side()
    {
        var shown = Assert.Single(DataInspector.Show(Options("""{"prompt": "a", "answer": 4}"""), new TextTools(new CharTokenizer(), new ChatMl())));
        Assert.Equal((SegmentRole.Prompt, "a"), (Assert.Single(shown.Sides).Role, shown.Sides[0].Row.Text));
        Assert.Equal(0, shown.TrainedTokens);
        Assert.Empty(shown.Ignored);
    }

    private DataOptions Options(string rows) => DataFolder.Options(_folder.Write("rows.jsonl", rows + "\n")) with { Purpose = RowPurpose.Prompts };
}
