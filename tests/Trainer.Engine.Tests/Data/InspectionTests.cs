using Trainer.Data;
using Trainer.Data.Rows;

namespace Trainer.Engine.Tests.Data;

[Trait("ring", "unit")]
public sealed class InspectionTests : IDisposable
{
    private readonly DataFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_check_counts_everything_and_names_every_refused_row()
    {
        var path = _folder.Write("a.jsonl", string.Join('\n',
            """{"prompt": "p", "completion": "c"}""",
            "nonsense",
            """{"prompt": "p", "completion": "c"}""",
            """{"prompt": "p", "completion": ""}""",
            """{"prompt": "p", "completion": "far too long a completion"}""",
            """{"prompt": 3, "completion": "c"}"""));
        var report = DataInspector.Check(DataFolder.Options(path, _folder.Write("b.json", "[")) with { MaxSeqLength = 10 }, new TextTools(new CharTokenizer()));
        Assert.Equal((6, 3, 11), (report.Statistics.Rows, report.Statistics.Examples, report.Statistics.Tokens));
        Assert.Equal(5 / 11.0, report.TrainedShare, 12);
        Assert.Equal([2, 5, 6], report.Faults.Select(fault => (int)fault.Source.Line));
        Assert.Equal(new Dictionary<FaultKind, long> { [FaultKind.Malformed] = 2, [FaultKind.TooLong] = 1 }, report.FaultCounts);
        Assert.Equal([(3L, 1L)], report.Duplicates.Select(each => (each.Source.Line, each.First.Line)));
        Assert.Equal([4L], report.EmptyAnswers.Select(each => each.Line));
        Assert.Contains("b.json", Assert.Single(report.FileFaults), StringComparison.Ordinal);
        Assert.False(report.Usable);
    }

    [Fact]
    public void Showing_says_what_of_a_folder_is_not_read()
    {
        _folder.Write("train.jsonl", "{\"text\": \"a\"}\n");
        _folder.Write("notes.txt", "b");
        var notes = new List<string>();
        Assert.Single(DataInspector.Show(DataFolder.Options(_folder.Path), new TextTools(new CharTokenizer()), notes: notes));
        Assert.Contains("'notes.txt'", Assert.Single(notes), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("\n\n")]
    public void A_file_without_rows_is_no_success(string content) =>
        Assert.Contains("holds no rows", Assert.Throws<DataException>(() =>
        DataInspector.Show(DataFolder.Options(_folder.Write("a.jsonl", content)), new TextTools(new CharTokenizer())).ToList()).Message,
        StringComparison.Ordinal);

    [Fact]
    public void A_conversation_without_an_answer_or_without_text_is_refused_in_words()
    {
        var path = _folder.Write("a.jsonl", """{"messages": [{"role": "user", "content": "a"}]}""");
        var row = Assert.Single(DataInspector.Show(DataFolder.Options(path), new TextTools(new CharTokenizer()) with { Chat = new ChatMl() }));
        Assert.Equal(FaultKind.NothingTrained, row.Fault!.Kind);
        Assert.Contains("no turn of the assistant", row.Fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_shown_row_has_text_ids_labels_and_trained_spans()
    {
        var path = _folder.Write("a.jsonl", "{\"prompt\": \"\U0001F600p\", \"completion\": \"c\"}\n");
        var row = Assert.Single(DataInspector.Show(DataFolder.Options(path), new TextTools(new CharTokenizer())));
        Assert.Equal("\U0001F600pc</s>", row.Text);
        Assert.Equal([new CharSpan(3, 8)], row.TrainedSpans);
        Assert.Equal([new CharSpan(2, 7)], row.TrainedSpansInCodePoints);
        Assert.Equal(row.Ids.Count, row.Labels.Count);
        Assert.Equal(2, row.TrainedTokens);
        Assert.Equal(("completion", null), (row.Kind, row.TemplateSource));
    }

    [Fact]
    public void Rows_of_ids_are_shown_decoded_and_a_refused_row_with_its_reason()
    {
        var path = _folder.Write("a.jsonl", "{\"input_ids\": [113, 114, 115], \"labels\": [-100, -100, 115]}\n{\"input_ids\": [113, 114], \"labels\": [113, "
            + "-100]}\n");
        var rows = DataInspector.Show(DataFolder.Options(path), new TextTools(new CharTokenizer())).ToList();
        Assert.Equal("abc", rows[0].Text);
        Assert.Equal([new CharSpan(2, 3)], rows[0].TrainedSpans);
        Assert.Equal(FaultKind.NothingTrained, rows[1].Fault!.Kind);
        Assert.Equal("ab", rows[1].Text);
    }

    [Fact]
    public void Rows_of_ids_need_no_tokenizer_and_text_says_that_it_does()
    {
        var path = _folder.Write("a.jsonl", "{\"input_ids\": [1, 2]}\n");
        using var set = DatasetBuilder.Build(DataFolder.Options(path), new TextTools(new NoTokenizer(64)));
        Assert.Equal([1, 2], set.Train[0].InputIds);
        Assert.Contains("--tokenizer",
            Assert.Throws<DataException>(() => DatasetBuilder.Build(DataFolder.Options(_folder.Write("b.jsonl", "{\"text\": \"a\"}\n")),
            new TextTools(new NoTokenizer(64)))).Message, StringComparison.Ordinal);
    }
}
