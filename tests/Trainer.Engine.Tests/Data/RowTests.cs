using Trainer.Data;

namespace Trainer.Engine.Tests.Data;

[Trait("ring", "unit")]
public sealed class RowTests : IDisposable
{
    private readonly DataFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private Example Only(string row, Func<DataOptions, DataOptions>? change = null, CharTokenizer? tokenizer = null, string name = "a.jsonl")
    {
        var options = DataFolder.Options(_folder.Write(name, row + "\n"));
        using var set = DataFolder.Build(change is null ? options : change(options), tokenizer);
        Assert.Equal(1, set.Train.Count);
        return set.Train[0];
    }

    private string Refused(string rows, Func<DataOptions, DataOptions>? change = null, CharTokenizer? tokenizer = null)
    {
        var options = DataFolder.Options(_folder.Write("a.jsonl", rows + "\n"));
        return Assert.Throws<DataException>(() => DataFolder.Build(change is null ? options : change(options), tokenizer)).Message;
    }

    [Fact]
    public void Text_gets_bos_and_eos_and_every_token_is_trained()
    {
        var row = Only("""{"text": "ab"}""");
        Assert.Equal([CharTokenizer.Bos, CharTokenizer.Id('a'), CharTokenizer.Id('b'), CharTokenizer.Eos], row.InputIds);
        Assert.Equal(row.InputIds, row.Labels);
    }

    [Fact]
    public void Text_that_ends_with_eos_gets_no_second_one() => Assert.Equal("<s>ab</s>", DataFolder.Text(Only("""{"text": "ab</s>"}""").InputIds));

    [Fact]
    public void A_completion_is_trained_with_its_eos_and_the_prompt_is_not()
    {
        var row = Only("""{"prompt": "Q: ", "completion": "yes"}""");
        Assert.Equal("<s>Q: yes</s>", DataFolder.Text(row.InputIds));
        Assert.Equal("yes</s>", DataFolder.Trained(row));
        Assert.Equal("<s>Q: yes</s>", DataFolder.Trained(Only("""{"prompt": "Q: ", "completion": "yes"}""", o => o with { TrainOn = TrainOn.All })));
    }

    [Fact]
    public void A_completion_beside_a_chat_template_says_that_it_goes_without()
    {
        var options = DataFolder.Options(_folder.Write("c.jsonl", """{"prompt": "Q: ", "completion": "yes"}""" + "\n"));
        using var set = DataFolder.Build(options);
        Assert.Contains("without the chat template", Assert.Single(set.Statistics.Notes).Key, StringComparison.Ordinal);
        using var plain = DatasetBuilder.Build(options, new Trainer.Data.Rows.TextTools(new CharTokenizer()));
        Assert.Empty(plain.Statistics.Notes);
    }

    [Fact]
    public void Every_assistant_turn_is_trained_with_its_end_and_last_trains_the_last()
    {
        const string chat =
            """{"messages": [{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"}]}""";
        Assert.Equal("b<|im_end|>d<|im_end|>", DataFolder.Trained(Only(chat)));
        Assert.Equal("d<|im_end|>", DataFolder.Trained(Only(chat, o => o with { TrainOn = TrainOn.Last })));
    }

    [Fact]
    public void Prompt_and_completion_as_messages_train_the_completion_turns_alone()
    {
        var row =
            Only(
            """{"prompt": [{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}], "completion": [{"role":"assistant","content":"d"}]}""");
        Assert.Equal("d<|im_end|>", DataFolder.Trained(row));
    }

    [Fact]
    public void Alpaca_becomes_a_chat_with_the_input_a_line_below()
    {
        var row = Only("""{"instruction": "do", "input": "it", "output": "done", "system": "s", "history": [["x","y"]]}""");
        Assert.Equal("<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\ny<|im_end|>\n<|im_start|>user\ndo\nit<|"
            + "im_end|>\n<|im_start|>assistant\ndone<|im_end|>\n",
            DataFolder.Text(row.InputIds));
        Assert.Equal("y<|im_end|>done<|im_end|>", DataFolder.Trained(row));
    }

    [Fact]
    public void Sharegpt_calls_and_observations_become_tool_messages()
    {
        var row =
            Only(
            """{"conversations": [{"from":"human","value":"a"},{"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{\"x\":1}}"},{"from":"observation","value":"r"},{"from":"gpt","value":"b"}], "tools": "[{\"name\":\"f\"}]"}""");
        Assert.Contains("""[{"type":"function","function":{"name":"f"}}]""", DataFolder.Text(row.InputIds), StringComparison.Ordinal);
        Assert.Contains("<|im_start|>tool\nr<|im_end|>", DataFolder.Text(row.InputIds), StringComparison.Ordinal);
        Assert.Equal("""[{"type":"function","function":{"name":"f","arguments":{"x":1}}}]<|im_end|>b<|im_end|>""", DataFolder.Trained(row));
    }

    [Fact]
    public void Token_ids_and_labels_are_taken_as_they_are()
    {
        var row = Only("""{"input_ids": [5,6,7], "labels": [-100,6,9]}""");
        Assert.Equal([5, 6, 7], row.InputIds);
        Assert.Equal([-100, 6, 9], row.Labels);
        Assert.Equal([5, 6], Only("""{"input_ids": [5,6]}""").Labels);
        Assert.Equal([-100, 6], Only("""{"input_ids": [5,6], "completion_mask": [0,1]}""").Labels);
    }

    [Fact]
    public void A_mapping_names_columns_and_ignore_leaves_some_out()
    {
        var columns = new Dictionary<string, string> { ["prompt"] = "question", ["completion"] = "answer", ["ignore"] = "note" };
        var path = _folder.Write("a.jsonl", """{"question": "q", "answer": "a", "note": "n"}""");
        using var set = DataFolder.Build(new DataOptions { Train = [new DataSource(path, 1, columns)] });
        Assert.Equal("a</s>", DataFolder.Trained(set.Train[0]));
        Assert.Equal(1, set.Statistics.IgnoredColumns["note"]);
    }

    [Fact]
    public void Weights_are_divided_by_their_mean()
    {
        var options = DataFolder.Options(_folder.Write("a.jsonl", "{\"text\": \"a\", \"weight\": 1}\n{\"text\": \"b\", \"weight\": 3}\n"));
        using var set = DataFolder.Build(options);
        Assert.Equal(2f, set.Train.MeanWeight);
        Assert.Equal([0.5f, 1.5f], set.Train.Batch([0, 1]).SegmentWeights);
        Assert.Equal([1f, 1f], set.Train.Batch([0, 1], weighted: false).SegmentWeights);
    }

    [Theory]
    [InlineData("""{"text": 5}""", "a.jsonl:1): column 'text' is a number; it must be a string")]
    [InlineData("""[1]""", "a .jsonl file has one object a line")]
    [InlineData("""{"txet": "a"}""", "did you mean 'text'?")]
    [InlineData("""{"text": "a", "wieght": 2}""", "column 'wieght' has no meaning in a text row (did you mean 'weight'?)")]
    [InlineData("""{"text": "a", "text": "b"}""", "not valid JSON")]
    [InlineData("""{"text": "a" """, "not valid JSON")]
    [InlineData("""{"text": "a", "messages": []}""", "two kinds at once")]
    [InlineData("""{"text": "\ud83d"}""", "surrogate")]
    [InlineData("""{"text": "a\u0000b"}""", "NUL character at character 2")]
    [InlineData("""{"messages": [{"role":"user","content":7}]}""", "'messages[0].content' is a number")]
    [InlineData("""{"messages": [{"content":"a"}]}""", "'messages[0]' has no role")]
    [InlineData("""{"messages": []}""", "holds no messages")]
    [InlineData("""{"messages": {"role":"user"}}""", "it must be a list")]
    [InlineData("""{"input_ids": [1, 70000]}""", "'input_ids[1]' is 70000, outside 0 to 69999")]
    [InlineData("""{"input_ids": [1, 1.5]}""", "it must be an integer")]
    [InlineData("""{"input_ids": [3, 4], "labels": [3]}""", "'labels' has 1 entries")]
    [InlineData("""{"input_ids": [3, 4], "labels": [3, -5]}""", "and not -100")]
    [InlineData("""{"text": "a", "weight": -1}""", "must be 0 or more")]
    [InlineData("""{"chosen": "a", "rejected": "b"}""", "preference pairs")]
    [InlineData("""{"question": "a", "answer": "b"}""", "instruction=question,output=answer")]
    [InlineData("""{"prompt": "a", "response": "b"}""", "instruction=prompt,output=response")]
    [InlineData("""{"instruction": "a", "context": "", "response": "b"}""", "instruction=instruction,input=context,output=response")]
    [InlineData("""{"dialog": []}""", "messages=dialog")]
    [InlineData("""{"content": "a"}""", "text=content")]
    [InlineData("""{"text": null}""", "none that is neither null nor left out")]
    [InlineData("""{"text":""", "the line ends before its object does")]
    [InlineData("""{"messages": [{"role":"assistant","content":"a","weight":0.5}]}""", "'messages[0].weight' is 0.5; a turn's weight must be 0 or 1")]
    [InlineData("""{"messages": [{"role":"assistant","content":"a","train":"no"}]}""", "'messages[0].train' is a string")]
    [InlineData("""{"text": "<s>a"}""", "two beginning-of-text tokens")]
    [InlineData("""{"text": ""}""", "is empty")]
    [InlineData("""{"input_ids": [3, 4], "labels": [3, -100]}""", "none of the row's 2 tokens")]
    public void A_bad_row_is_refused_with_file_line_and_reason(string row, string reason)
    {
        var message = Refused(row);
        Assert.Contains(reason, message, StringComparison.Ordinal);
        Assert.Contains("a.jsonl:1", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void Broken_json_names_line_and_column()
    {
        var message = Refused("{\"text\": \"a\"}\n  {\"text\": x}");
        Assert.Contains("a.jsonl:2, column 12", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"conversation": [{"human": "a", "assistant": "b"}], "system": "s", "conversation_id": 1}""", "b<|im_end|>")]
    [InlineData("""{"prompt": [{"role":"user","content":"a"},{"role":"assistant","content":"p"}], "completion": "b", "system": "s"}""", "b<|im_end|>")]
    [InlineData("""{"prompt": [{"user": "a", "assistant": "p"}, {"user": "q"}], "completion": "b"}""", "b<|im_end|>")]
    [InlineData("""{"instruction": "a", "output": "b", "history": ""}""", "b<|im_end|>")]
    [InlineData("""{"messages": [{"role":"user","content":"a"},{"role":"assistant","content":"b"}], "parallel_tool_calls": false}""", "b<|im_end|>")]
    public void Rounds_and_what_stands_beside_them_train_the_answer_alone(string row, string trained) => Assert.Equal(trained, DataFolder.Trained(Only(row)));

    [Fact]
    public void Mixed_kinds_in_one_file_are_refused() =>
        Assert.Contains("a.jsonl:2): the row is of kind completion, and the file's rows are of kind text since line 1",
        Refused("{\"text\": \"a\"}\n{\"prompt\": \"a\", \"completion\": \"b\"}"), StringComparison.Ordinal);

    [Fact]
    public void Bad_rows_are_dropped_and_counted_when_asked()
    {
        var path = _folder.Write("a.jsonl", "{\"text\": \"a\"}\nnonsense\n{\"text\": 5}\n{\"text\": \"\"}\n");
        using var set = DataFolder.Build(DataFolder.Options(path) with { OnBadRow = OnBadRow.Drop, DropEmpty = true });
        Assert.Equal(1, set.Train.Count);
        Assert.Equal(2, set.Statistics.Dropped[FaultKind.Malformed]);
        Assert.Equal(1, set.Statistics.Dropped[FaultKind.NothingTrained]);
    }

    [Fact]
    public void A_completion_without_an_eos_is_refused_unless_allowed()
    {
        var none = new CharTokenizer { EosId = null };
        Assert.Contains("--allow-missing-eos", Refused("""{"prompt": "a", "completion": "b"}""", tokenizer: none), StringComparison.Ordinal);
        Assert.Equal("b", DataFolder.Trained(Only("""{"prompt": "a", "completion": "b"}""", o => o with { AllowMissingEos = true }, none)));
    }

    [Fact]
    public void Rows_that_are_too_long_are_counted_with_a_histogram()
    {
        var message = Refused("{\"text\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}\n{\"text\": \"b\"}\n{\"text\": \"bbbbbbbbbb\"}",
            o => o with { MaxSeqLength = 8 });
        Assert.Contains("2 of 3 rows are too long (first: ", message, StringComparison.Ordinal);
        Assert.Contains("longest 42; tokens 9-16: 1, 33-64: 1", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Truncation_never_cuts_an_answer_unless_asked()
    {
        const string row = """{"prompt": "p", "completion": "abcdef"}""";
        Assert.Contains("would cut its answer", Refused(row, o => o with { MaxSeqLength = 5, OnTooLong = OnTooLong.Truncate }), StringComparison.Ordinal);
        Assert.Equal("<s>pabc", DataFolder.Text(Only(row,
            o => o with { MaxSeqLength = 5, OnTooLong = OnTooLong.Truncate, TruncateAnswers = true, AllowMissingEos = true }).InputIds));
        Assert.Equal("<s>abcd", DataFolder.Text(Only("""{"text": "abcdefgh"}""", o => o with { MaxSeqLength = 5, OnTooLong = OnTooLong.Truncate }).InputIds));
    }

    [Fact]
    public void Split_lays_text_out_in_windows_that_lose_nothing()
    {
        var path = _folder.Write("a.jsonl", """{"text": "abcdefghij"}""");
        using var set = DataFolder.Build(DataFolder.Options(path) with { MaxSeqLength = 5, OnTooLong = OnTooLong.Split });
        Assert.Equal("<s>abcdefghij</s>", string.Concat(Enumerable.Range(0, set.Train.Count).Select(i => DataFolder.Text(set.Train[i].InputIds))));
        Assert.All(set.Train.Lengths, length => Assert.InRange(length, 2, 5));
        Assert.Equal(1, set.Statistics.SplitRows);
    }
}
