using Parquet.Schema;
using Parquet.Serialization;
using Trainer.Data;
using Trainer.Data.Rows;

namespace Trainer.Engine.Tests.Data;

/// <summary>Preference rows in the shapes that people have them: what is prompt, what is answer, what is refused.</summary>
[Trait("ring", "unit")]
public sealed class PreferenceRowTests : IDisposable
{
    private readonly DataFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("""{"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}""", "<s>The sky is| blue.</s>|<s>The sky is| green.</s>")]
    [InlineData("""{"chosen": "\n\nHuman: Hi\n\nAssistant: I would not.", "rejected": "\n\nHuman: Hi\n\nAssistant: I would."}""",
        "<s>\n\nHuman: Hi\n\nAssistant:| I would not.</s>|<s>\n\nHuman: Hi\n\nAssistant:| I would.</s>")]
    [InlineData("""{"chosen": "Say it: yes", "rejected": "Say it: no"}""", "<s>Say it:| yes</s>|<s>Say it:| no</s>")]
    [InlineData("""{"prompt": [{"role":"user","content":"a"}], "chosen": [{"role":"assistant","content":"b"}], "rejected": [{"role":"assistant","content":"c"}]}""",
        Chat)]
    [InlineData("""{"prompt": "a", "chosen": [{"role":"user","content":"a"},{"role":"assistant","content":"b"}], "rejected": [{"role":"user","content":"a"},{"role":"assistant","content":"c"}]}""",
        Chat)]
    [InlineData("""{"prompt": "a", "chosen": [{"role":"assistant","content":"b"}], "rejected": [{"role":"assistant","content":"c"}]}""", Chat)]
    [InlineData("""{"chosen": [{"role":"user","content":"a"},{"role":"assistant","content":"b"}], "rejected": [{"role":"user","content":"a"},{"role":"assistant","content":"c"}]}""",
        Chat)]
    [InlineData("""{"conversations": [{"from":"human","value":"a"}], "chosen": {"from":"gpt","value":"b"}, "rejected": {"from":"gpt","value":"c"}}""", Chat)]
    [InlineData("""{"messages": [{"role":"user","content":"a"}], "chosen": {"role":"assistant","content":"b"}, "rejected": {"role":"assistant","content":"c"}}""",
        Chat)]
    [InlineData("""{"messages": [{"role":"user","content":"a"},{"role":"assistant","content":"b"}], "rejected_response": "c"}""", Chat)]
    [InlineData("""{"conversation": [{"human": "a", "assistant": "b"}], "rejected_response": [{"role":"assistant","content":"c"}]}""", Chat)]
    [InlineData("""{"conversation": [{"human": "a"}], "chosen": {"role":"assistant","content":"b"}, "rejected": {"role":"assistant","content":"c"}}""", Chat)]
    [InlineData("""{"instruction": "a", "chosen": "b", "rejected": "c"}""", Chat)]
    [InlineData("""{"prompt_ids": [1, 20], "chosen_ids": [21, 2], "rejected_ids": [22, 2]}""", "<s>\u0004|\u0005</s>|<s>\u0004|\u0006</s>")]
    public void A_pair_is_the_prompt_with_either_answer(string row, string expected) => Assert.Equal(expected, string.Join('|', Batch(RowPurpose.Pairs, row)));

    private const string Chat = "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n|b<|im_end|>\n|<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n|"
        + "c<|im_end|>\n";

    [Theory]
    [InlineData("""{"prompt": "Q: ", "completion": "yes", "label": true}""", "<s>Q: |yes</s>", SegmentRole.Desirable)]
    [InlineData("""{"prompt": "Q: ", "completion": "yes", "label": 0}""", "<s>Q: |yes</s>", SegmentRole.Undesirable)]
    [InlineData("""{"messages": [{"role":"user","content":"a"},{"role":"assistant","content":"b"}], "label": "false"}""",
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n|b<|im_end|>\n", SegmentRole.Undesirable)]
    [InlineData("""{"conversation": [{"human": "a", "assistant": "b"}], "label": true}""",
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n|b<|im_end|>\n", SegmentRole.Desirable)]
    public void A_labelled_row_is_one_answer_with_its_side(string row, string expected, SegmentRole role)
    {
        Assert.Equal(expected, string.Join('|', Batch(RowPurpose.Feedback, row)));
        Assert.Equal([role], Only(RowPurpose.Feedback, row).Roles);
    }

    [Fact]
    public void A_pair_serves_an_objective_over_labels_as_two_rows()
    {
        using var set = DataFolder.Build(Options(RowPurpose.Feedback, """{"prompt": "Q: ", "chosen": "yes", "rejected": "no"}"""));
        Assert.Equal([SegmentRole.Desirable, SegmentRole.Undesirable], set.Train.Batch([0, 1]).Roles);
    }

    [Fact]
    public void A_mismatched_answer_is_the_row_before_s_or_the_one_that_the_row_brings()
    {
        const string rows = """
            {"prompt_ids": [1, 20], "completion_ids": [30, 2], "label": true}
            {"prompt_ids": [1, 21], "completion_ids": [31, 2], "label": false}
            {"prompt_ids": [1, 22], "completion_ids": [32, 2], "label": true}
            """;
        using var set = DataFolder.Build(Options(RowPurpose.Feedback, rows));
        var batch = set.Train.Batch([0, 1, 2]).WithMismatched();
        Assert.Equal([1, 20, 30, 2, 1, 21, 31, 2, 1, 22, 32, 2, 1, 20, 32, 2, 1, 21, 30, 2, 1, 22, 31, 2], batch.TokenIds);
        Assert.Equal(3, batch.RowCount);
        using var given = DataFolder.Build(Options(RowPurpose.Feedback,
            """{"prompt_ids": [1, 20], "completion_ids": [30, 2], "label": true, "kl_completion_ids": [40, 2]}"""));
        Assert.Equal([1, 20, 30, 2, 1, 20, 40, 2], given.Train.Batch([0]).WithMismatched().TokenIds);
    }

    [Fact]
    public void Targets_are_the_answers_alone_and_the_prompt_where_a_loss_asks_for_it()
    {
        var batch = Only(RowPurpose.Pairs, """{"prompt_ids": [1, 20, 21], "chosen_ids": [30, 2], "rejected_ids": [31, 32, 2]}""");
        Assert.Equal([-100, -100, 30, 2, -100, -100, -100, 31, 32, 2, -100], batch.Targets);
        Assert.Equal([3, 8], batch.AnswerStarts);
        Assert.Equal([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5], batch.Positions);
        Assert.Equal([20, 21, 30, 2, -100, -100, -100, 31, 32, 2, -100], batch.WithPromptTargets(SegmentRole.Chosen).Targets);
    }

    [Theory]
    [InlineData(RowPurpose.Pairs, """{"prompt": "a", "chosen": "b", "rejected": "b"}""", "the same answer")]
    [InlineData(RowPurpose.Pairs,
        """{"chosen": [{"role":"user","content":"a"},{"role":"assistant","content":"b"}], "rejected": [{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}""",
        "the same answer")]
    [InlineData(RowPurpose.Pairs, """{"chosen": "Hello there, friend", "rejected": "Hello there"}""", "the answer in 'rejected' is empty")]
    [InlineData(RowPurpose.Pairs, """{"messages": [{"role":"user","content":"a"}], "rejected_response": "c"}""", "does not end with an answer")]
    [InlineData(RowPurpose.Pairs, """{"messages": [{"role":"user","content":"a"},{"role":"assistant","content":"b"}], "rejected_response": "b"}""",
        "the same answer")]
    [InlineData(RowPurpose.Supervised, """{"messages": [{"role":"user","content":"a"},{"role":"assistant","content":"b"}], "rejected_response": "c"}""",
        "--objective dpo")]
    [InlineData(RowPurpose.Pairs, """{"prompt": "a", "chosen": " ", "rejected": "b"}""", "the answer in 'chosen' is empty")]
    [InlineData(RowPurpose.Pairs, """{"prompt_ids": [1], "chosen_ids": [], "rejected_ids": [2]}""", "'chosen_ids' is empty")]
    [InlineData(RowPurpose.Pairs, """{"chosen": "a b", "rejected": "c d"}""", "no common prompt")]
    [InlineData(RowPurpose.Pairs, """{"text": "a"}""", "no preference pair: it has no column 'chosen' and 'rejected'")]
    [InlineData(RowPurpose.Pairs, """{"prompt": "a", "chosen": "b"}""", "it has no column 'rejected'")]
    [InlineData(RowPurpose.Feedback, """{"prompt": "a", "completion": "b"}""", "it has no column 'label'")]
    [InlineData(RowPurpose.Feedback, """{"prompt": "a", "completion": "b", "label": "perhaps"}""", "it must be true or false")]
    [InlineData(RowPurpose.Supervised, """{"prompt": "a", "chosen": "b", "rejected": "c"}""", "--objective dpo")]
    public void What_cannot_be_compared_is_refused_with_file_and_line(RowPurpose purpose, string row, string what)
    {
        var message = Assert.Throws<DataException>(() => DataFolder.Build(Options(purpose, row))).Message;
        Assert.Contains(what, message, StringComparison.Ordinal);
        Assert.Contains("a.jsonl:1", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Results_in_parts_and_a_system_prompt_leave_the_answer_its_place()
    {
        const string row =
            """
            {"prompt": [{"role":"user","content":"a"},{"role":"assistant","content":"p"},{"role":"user","content":[{"type":"tool_result","content":"r"},
            {"type":"tool_result","content":"s"}]}], "chosen": "b", "rejected": "c", "system": "S"}
            """;
        var batch = Batch(RowPurpose.Pairs, row.ReplaceLineEndings(""));
        Assert.Equal(("<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\np<|im_end|>\n<|im_start|>tool\nr<|im_end|>\n"
            + "<|im_start|>tool\ns<|im_end|>\n<|im_start|>assistant\n", "b<|im_end|>\n"), (batch[0], batch[1]));
    }

    [Fact]
    public void The_length_limit_is_for_each_side()
    {
        const string row = """{"prompt_ids": [1, 20], "chosen_ids": [30, 31, 32, 2], "rejected_ids": [33, 2]}""";
        using var fits = DataFolder.Build(Options(RowPurpose.Pairs, row) with { MaxSeqLength = 6 });
        Assert.Equal(10, fits.Train.Tokens);
        var tight = Options(RowPurpose.Pairs, row) with { MaxSeqLength = 5 };
        Assert.Contains("6 tokens, more than --max-seq-length 5", Assert.Throws<DataException>(() => DataFolder.Build(tight)).Message,
            StringComparison.Ordinal);
        Assert.Contains("would cut the answer", Assert.Throws<DataException>(() => DataFolder.Build(tight with { OnTooLong = OnTooLong.Truncate })).Message,
            StringComparison.Ordinal);
        using var cut = DataFolder.Build(tight with { OnTooLong = OnTooLong.Truncate, TruncateAnswers = true });
        Assert.Equal([1, 20, 30, 31, 32, 1, 20, 33, 2], cut.Train.Batch([0]).TokenIds);
        Assert.Contains("prompt alone fills",
            Assert.Throws<DataException>(() => DataFolder.Build(tight with { MaxSeqLength = 2, OnTooLong = OnTooLong.Truncate,
            TruncateAnswers = true })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_shown_pair_has_both_sides_and_no_label_beyond_the_usual()
    {
        const string rows = """
            {"prompt": "Q: ", "chosen": "yes", "rejected": "no"}
            {"prompt_ids": [1, 20], "chosen_ids": [113, 2], "rejected_ids": [114, 2]}
            """;
        var shown = DataInspector.Show(Options(RowPurpose.Pairs, rows), new TextTools(new CharTokenizer(), new ChatMl())).ToList();
        Assert.All(shown, row => Assert.Equal([SegmentRole.Chosen, SegmentRole.Rejected], row.Sides.Select(side => side.Role)));
        Assert.All(shown.SelectMany(row => row.Sides.Select(side => side.Row).Append(row)),
            row => Assert.DoesNotContain(row.Labels, label => label < Example.IgnoredLabel));
        var (chosen, rejected) = (shown[0].Sides[0].Row, shown[0].Sides[1].Row);
        Assert.Equal(("Q: yes</s>", "Q: no</s>"), (chosen.Text, rejected.Text));
        Assert.Equal([new CharSpan(3, 10)], chosen.TrainedSpans);
        Assert.Equal(shown[0].Ids.Count, chosen.Ids.Count + rejected.Ids.Count);
        Assert.Equal("b</s>", DataFolder.Text(shown[1].Sides[1].Row.Labels.Where(label => label >= 0)));
    }

    [Theory]
    [InlineData(RowPurpose.Pairs, "prompt|chosen|rejected", "Q: |yes|no", "<s>Q: |yes</s>|<s>Q: |no</s>")]
    [InlineData(RowPurpose.Feedback, "prompt|completion|label", "Q: |yes|true", "<s>Q: |yes</s>")]
    public void Parquet_rows_are_the_same_as_lines(RowPurpose purpose, string columns, string values, string expected)
    {
        var row = columns.Split('|').Zip(values.Split('|')).ToDictionary(pair => pair.First, object? (pair) => pair.Second == "true" ? true : pair.Second);
        var schema = new ParquetSchema(row.Select(pair => pair.Value is bool ? new DataField<bool>(pair.Key) : (Field)new DataField<string>(pair.Key)));
        using var set = DataFolder.Build(DataFolder.Options(Parquet(schema, row)) with { Purpose = purpose });
        Assert.Equal(expected, string.Join('|', Sides(set.Train.Batch([0]))));
    }

    [Fact]
    public void Messages_of_parquet_are_pairs_too()
    {
        StructField Turn(string name) => new(name, new DataField<string>("role"), new DataField<string>("content"));
        var schema = new ParquetSchema(new ListField("chosen", Turn("element")), new ListField("rejected", Turn("element")));
        List<IDictionary<string, object?>> Talk(string answer) =>
        [
            new Dictionary<string, object?> { ["role"] = "user", ["content"] = "a" },
            new Dictionary<string, object?> { ["role"] = "assistant", ["content"] = answer },
        ];
        var path = Parquet(schema, new Dictionary<string, object?> { ["chosen"] = Talk("b"), ["rejected"] = Talk("c") });
        using var set = DataFolder.Build(DataFolder.Options(path) with { Purpose = RowPurpose.Pairs });
        Assert.Equal(Chat, string.Join('|', Sides(set.Train.Batch([0]))));
    }

    [Theory]
    [InlineData(10, 10, 1, 1, null)]
    [InlineData(12, 10, 1, 1, null)]
    [InlineData(90, 10, 1, 1, "--undesirable-weight 9")]
    [InlineData(90, 10, 1, 9, null)]
    [InlineData(10, 40, 1, 1, "--desirable-weight 4")]
    [InlineData(10, 0, 1, 1, "every labelled answer is wanted")]
    [InlineData(0, 10, 1, 1, "every labelled answer is unwanted")]
    [InlineData(0, 0, 1, 1, null)]
    public void Labels_that_are_lopsided_are_said_with_the_weight_that_helps(long wanted, long unwanted, double wantedWeight, double unwantedWeight,
    string? said)
    {
        var sentence = new AnswerCounts(0, wanted, unwanted).Imbalance(wantedWeight, unwantedWeight);
        if (said is null) Assert.Null(sentence);
        else Assert.Contains(said, sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void Answers_are_counted_by_their_side()
    {
        const string pair = """{"prompt": "Q: ", "chosen": "yes", "rejected": "no"}""";
        Assert.Equal(new AnswerCounts(1), DataInspector.Check(Options(RowPurpose.Pairs, pair),
            new TextTools(new CharTokenizer(), new ChatMl())).Statistics.Answers);
        using var both = DataFolder.Build(Options(RowPurpose.Feedback, pair));
        Assert.Equal(new AnswerCounts(0, 1, 1), both.Statistics.Answers);
        const string labelled = """
            {"prompt_ids": [1, 20], "completion_ids": [30, 2], "label": true, "kl_completion_ids": [31, 2]}
            {"prompt_ids": [1, 20], "completion_ids": [30, 2], "label": false, "kl_completion_ids": [32, 2]}
            {"prompt_ids": [1, 20], "completion_ids": [33, 2], "label": false, "kl_completion_ids": [34, 2]}
            """;
        using var set = DataFolder.Build(Options(RowPurpose.Feedback, labelled));
        Assert.Equal(new AnswerCounts(0, 1, 2), set.Statistics.Answers);
    }

    private string Parquet(ParquetSchema schema, params IDictionary<string, object?>[] rows)
    {
        var bytes = new MemoryStream();
        ParquetSerializer.SerializeUntypedAsync(rows, schema, bytes).GetAwaiter().GetResult();
        return _folder.Write("a.parquet", bytes.ToArray());
    }

    private MicroBatch Only(RowPurpose purpose, string row)
    {
        using var set = DataFolder.Build(Options(purpose, row));
        return set.Train.Batch([0]);
    }

    /// <summary>Prompt and answer of each side as text.</summary>
    private List<string> Batch(RowPurpose purpose, string row) => Sides(Only(purpose, row));

    private static List<string> Sides(MicroBatch batch) =>
        [.. Enumerable.Range(0, batch.Roles.Length).SelectMany(segment => new[]
        {
            DataFolder.Text(batch.TokenIds[batch.SegmentStarts[segment]..batch.AnswerStarts[segment]]),
            DataFolder.Text(batch.TokenIds[batch.AnswerStarts[segment]..batch.SegmentStarts[segment + 1]]),
        })];

    private DataOptions Options(RowPurpose purpose, string rows) => DataFolder.Options(_folder.Write("a.jsonl", rows + "\n")) with { Purpose = purpose };
}
