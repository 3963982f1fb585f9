using Trainer.Data;

namespace Trainer.Engine.Tests.Data;

/// <summary>Columns as people name them: what is left out, what is mapped, and what is said where neither is right.</summary>
[Trait("ring", "unit")]
public sealed class ColumnTests : IDisposable
{
    private readonly DataFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private DataOptions Options(string row, string columns) => new()
    {
        Train = [new DataSource(_folder.Write("a.jsonl", row + "\n"), 1, columns.Length == 0 ? null
            : columns.Split(',').Select(pair => pair.Split('=')).ToDictionary(pair => pair[0], pair => pair[1]))],
    };

    private string Text(string row, string columns = "")
    {
        using var set = DataFolder.Build(Options(row, columns));
        return DataFolder.Text(set.Train[0].InputIds);
    }

    private string Refused(string row, string columns = "") =>
        Assert.Throws<DataException>(() => DataFolder.Build(Options(row, columns))).Message;

    [Theory]
    [InlineData("""{"instruction": "I", "input": "IN", "output": "O", "system": "S"}""", "ignore=input+system",
        "<|im_start|>user\nI<|im_end|>\n<|im_start|>assistant\nO<|im_end|>\n")]
    [InlineData("""{"instruction": "I", "output": "O", "text": "T"}""", "ignore=text", "<|im_start|>user\nI<|im_end|>\n<|im_start|>assistant\nO<|im_end|>\n")]
    [InlineData("""{"messages": [{"role": "assistant", "content": "a"}], "system": "S", "prompt": "P"}""", "ignore=system+prompt",
        "<|im_start|>assistant\na<|im_end|>\n")]
    [InlineData("""{"text": "T", "more": 1}""", "ignore=*", "<s>T</s>")]
    public void A_column_that_is_named_to_be_left_out_is_left_out_whatever_it_means(string row, string columns, string text) =>
        Assert.Equal(text, Text(row, columns));

    [Theory]
    [InlineData("\"\"")]
    [InlineData("\" \"")]
    [InlineData("null")]
    public void An_instruction_without_words_leaves_the_input_alone(string instruction) =>
        Assert.Equal("<|im_start|>user\nIN<|im_end|>\n<|im_start|>assistant\nO<|im_end|>\n",
        Text($$"""{"instruction": {{instruction}}, "input": "IN", "output": "O"}"""));

    [Theory]
    [InlineData("""{"question": "Q", "response_j": "A", "response_k": "B"}""", "FILE,instruction=question,chosen=response_j,rejected=response_k")]
    [InlineData("""{"prompt": "Q", "response_chosen": "A", "response_rejected": "B"}""",
        "FILE,instruction=prompt,chosen=response_chosen,rejected=response_rejected")]
    [InlineData("""{"input": "Q", "output": "A", "subject": "S", "id": 1, "z": 2}""", "FILE,instruction=input,output=output,ignore=subject+z")]
    [InlineData("""{"chosen_messages": [], "rejected_messages": []}""", "FILE,chosen=chosen_messages,rejected=rejected_messages")]
    [InlineData("""{"system_prompt": "S", "question": "Q", "response": "R", "id": 1}""", "FILE,instruction=question,output=response,system=system_prompt")]
    [InlineData("""{"article": "C", "question": "Q", "answer": "A"}""", "FILE,instruction=question,input=article,output=answer")]
    [InlineData("""{"article": "C", "summary": "S"}""", "FILE,instruction=article,output=summary")]
    [InlineData("""{"dialogue": "D", "summary": "S"}""", "FILE,instruction=dialogue,output=summary")]
    [InlineData("""{"dialogue": [], "summary": "S"}""", "FILE,messages=dialogue,ignore=summary")]
    [InlineData("""{"prompt": "P", "generation": "G"}""", "FILE,instruction=prompt,output=generation")]
    [InlineData("""{"chosen_conversations": [], "rejected_conversations": []}""", "FILE,chosen=chosen_conversations,rejected=rejected_conversations")]
    [InlineData("""{"Question": "Q", "Answer": "A"}""", "FILE,instruction=Question,output=Answer")]
    [InlineData("""{"Messages": []}""", "FILE,messages=Messages")]
    [InlineData("""{"response": "R"}""", "FILE,text=response")]
    [InlineData("""{"translation": {"en": "a"}}""", "FILE,instruction=NAME,output=NAME")]
    [InlineData("""{"instruction": "I", "output": "O", "text": "T", "foo": 1, "id": 2}""", "FILE,ignore=text+foo keeps instruction and output")]
    public void The_way_out_is_spelled_with_the_rows_own_names(string row, string way) =>
        Assert.Contains(way, Refused(row), StringComparison.Ordinal);

    [Fact]
    public void The_way_out_works_as_it_is_printed()
    {
        Assert.Equal("<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n",
            Text("""{"Question": "Q", "Answer": "A"}""", "instruction=Question,output=Answer"));
        Assert.Equal("<s>R</s>", Text("""{"response": "R"}""", "text=response"));
    }

    [Theory]
    [InlineData("""{"instruction": "I", "output": null}""", "", "'output' is null")]
    [InlineData("""{"q": "a", "a": "b"}""", "instruction=q,output=q", "column 'q' cannot be both 'instruction' and 'output'")]
    [InlineData("""{"q": "a", "a": "b"}""", "instruction=qq,output=a", "no column 'qq' to take for 'instruction'")]
    [InlineData("""{"text": "T"}""", "ignore=text", "none that is neither null nor left out")]
    public void What_is_missing_is_named(string row, string columns, string what) => Assert.Contains(what, Refused(row, columns), StringComparison.Ordinal);

    [Fact]
    public void Pictures_are_refused_and_an_empty_list_of_them_is_none()
    {
        const string Chat = "\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}]";
        var refused = Refused($$"""{{{Chat}}, "images": ["x.png"], "foo": 1}""");
        Assert.Contains("'images' holds something else", refused, StringComparison.Ordinal);
        Assert.Contains("ignore=images+foo", refused, StringComparison.Ordinal);
        Assert.Equal("<|im_start|>assistant\na<|im_end|>\n", Text($$"""{{{Chat}}, "images": [], "videos": null, "audios": ""}"""));
    }
}
