using System.Text;
using Trainer.Data;
using Trainer.Data.Sources;

namespace Trainer.Engine.Tests.Data;

/// <summary>Which files and rows a source means.</summary>
[Trait("ring", "unit")]
public sealed class SourceTests : IDisposable
{
    private readonly DataFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string Row(string name, params string[] texts)
        => _folder.Write(name, string.Concat((texts.Length > 0 ? texts : [name]).Select(text => $"{{\"text\": \"{text}\"}}\n")));

    private DataSource Source => new(_folder.Path);

    private string Names(IEnumerable<FoundFile> files) => string.Join(' ', files.Select(file => Path.GetRelativePath(_folder.Path, file.Path)));

    private string Train(DataSource? source = null) => Names(SourceFiles.Train(source ?? Source).Files);

    private string HeldOut() => Names(SourceFiles.HeldOut(Source));

    /// <summary>The words, borders and order (shards, folders, files) of the datasets library (src/datasets/data_files.py).</summary>
    [Theory]
    [InlineData("data_train.jsonl data_valid.jsonl", "data_train.jsonl", "data_valid.jsonl")]
    [InlineData("my.training.json x-dev-1.json", "my.training.json", "x-dev-1.json")]
    [InlineData("train1.csv val2.csv test3.csv", "train1.csv", "val2.csv")]
    [InlineData("a/train/x.jsonl a/validation/x.jsonl b.jsonl", "a/train/x.jsonl", "a/validation/x.jsonl")]
    [InlineData("set train/a.jsonl set_testing/b.jsonl", "set train/a.jsonl", "")]
    [InlineData("data/train-00000-of-00002.jsonl data/train-00001-of-00002-0a1b.jsonl data/validation-00000-of-00001.jsonl extra/test.jsonl",
        "data/train-00000-of-00002.jsonl data/train-00001-of-00002-0a1b.jsonl", "data/validation-00000-of-00001.jsonl")]
    [InlineData("constraint.jsonl evaluate.jsonl", "constraint.jsonl evaluate.jsonl", "")]
    [InlineData("train.jsonl eval.jsonl", "train.jsonl", "eval.jsonl")]
    [InlineData("train.jsonl eval.jsonl valid.jsonl", "train.jsonl", "valid.jsonl")]
    [InlineData("one/two/three/four/train.jsonl", "one/two/three/four/train.jsonl", "")]
    public void A_folder_is_split_by_names_as_the_datasets_library_does(string files, string train, string heldOut)
    {
        foreach (var file in files.Contains("set train", StringComparison.Ordinal) ? ["set train/a.jsonl", "set_testing/b.jsonl"] : files.Split(' ')) Row(file);
        Assert.Equal((train, heldOut), (Train(), HeldOut()));
    }

    [Theory]
    [InlineData("my_dataset.jsonl my_dataset_validation.jsonl",
        "has no train split: it holds 'my_dataset_validation.jsonl', and of no split 'my_dataset.jsonl'; name the files themselves with --data and "
        + "--eval-data")]
    [InlineData("train/part.jsonl train/eval.jsonl", "names two splits, train and evaluation")]
    [InlineData("train_valid.jsonl", "names two splits, train and validation")]
    [InlineData("data/train_sft-00000-of-00001.jsonl data/test_sft-00000-of-00001.jsonl", "has no split 'train': it has 'test_sft', 'train_sft'")]
    [InlineData("notes.md", "holds no data")]
    public void A_folder_whose_training_files_are_in_doubt_is_refused(string files, string reason)
    {
        foreach (var file in files.Split(' ')) Row(file);
        Assert.Contains(reason, Assert.Throws<DataException>(() => Train()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_folder_holds_and_is_not_read_is_told()
    {
        foreach (var file in new[] { "train.jsonl", "extra.jsonl", ".hidden.jsonl", ".cache/a.jsonl", "__pycache__/b.json", "old.xlsx", "LICENSE.txt",
            "README.md" }) Row(file);
        var (files, notes) = SourceFiles.Train(Source);
        Assert.Equal("train.jsonl", Names(files));
        var said = string.Join('\n', notes);
        Assert.Contains("3 files", said, StringComparison.Ordinal);
        foreach (var name in new[] { ".hidden.jsonl", "extra.jsonl", "old.xlsx", "LICENSE.txt" }) Assert.Contains($"'{name}'", said, StringComparison.Ordinal);
        Assert.DoesNotContain("README.md", said, StringComparison.Ordinal);
        using var set = DataFolder.Build(DataFolder.Options(_folder.Path));
        Assert.Equal(notes, set.Notes);
    }

    [Fact]
    public void Plain_text_beside_rows_is_notes_and_alone_it_is_data()
    {
        _folder.Write("command.txt", "how it was made");
        Assert.Equal("command.txt", Train());
        Row("rows.jsonl");
        var (files, notes) = SourceFiles.Train(Source);
        Assert.Equal("rows.jsonl", Names(files));
        Assert.Contains("plain text beside files of rows (name it with --data to train on it): 'command.txt'", Assert.Single(notes), StringComparison.Ordinal);
    }

    [Fact]
    public void A_link_that_leads_back_up_is_followed_once()
    {
        Row("a/rows.jsonl");
        Directory.CreateSymbolicLink(Path.Combine(_folder.Path, "a", "up"), _folder.Path);
        Assert.Equal("a/rows.jsonl", Train());
    }

    [Fact]
    public void Descriptions_are_no_data()
    {
        Row("rows.jsonl");
        foreach (var name in new[] { "dataset_info.json", "dataset_infos.json", "config.json", "dataset_dict.json", "state.json" })
            _folder.Write(name, "{\"features\": {}}");
        Assert.Equal("rows.jsonl", Train());
    }

    [Fact]
    public void Columns_that_a_description_does_not_name_are_not_read()
    {
        _folder.Write("dataset_info.json", """
            {"qa": {"file_name": "qa.json", "columns": {"prompt": "q", "response": "a"}},
             "pairs": {"file_name": "pairs.json", "ranking": true, "columns": {"prompt": "q", "chosen": "c", "rejected": "r"}},
             "plain": {"file_name": "plain.json", "columns": {"prompt": "content"}},
             "seen": {"file_name": "seen.json", "formatting": "sharegpt", "columns": {"messages": "conversations", "images": "images"}}}
            """);
        _folder.Write("qa.json", """[{"q": "Q", "a": "A", "input": "I", "text": "T", "other": 1}]""");
        _folder.Write("pairs.json", """[{"q": "Q", "c": "A", "r": "B"}]""");
        _folder.Write("plain.json", """[{"content": "T"}]""");
        _folder.Write("seen.json", """[{"conversations": [{"from": "gpt", "value": "A"}], "images": ["x.png"]}]""");
        string Of(string name, IReadOnlyDictionary<string, string>? columns = null)
        {
            using var set = DataFolder.Build(
                new DataOptions { Train = [new DataSource(_folder.Path, 1, columns) { Subset = name }], Purpose = RowPurpose.Any });
            return DataFolder.Text(set.Train[0].InputIds);
        }
        Assert.Equal("<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n", Of("qa"));
        Assert.Equal("<|im_start|>user\nQ\nI<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n",
            Of("qa", new Dictionary<string, string> { ["input"] = "input", ["ignore"] = "other" }));
        Assert.Contains("A<|im_end|>", Of("pairs"), StringComparison.Ordinal);
        Assert.Equal("<s>T</s>", Of("plain"));
        Assert.Contains("'images' holds something else", Assert.Throws<DataException>(() => Of("seen")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_split_of_another_name_is_not_left_out_without_a_word()
    {
        _folder.Write("data/train-00000-of-00001.jsonl", "{\"text\": \"T\"}\n");
        _folder.Write("data/extra-00000-of-00001.jsonl", "{\"text\": \"X\"}\n");
        using var set = DataFolder.Build(DataFolder.Options(_folder.Path));
        Assert.Contains(set.Notes, note => note.Contains("split 'extra'", StringComparison.Ordinal) && note.Contains("split=extra", StringComparison.Ordinal));
    }

    [Fact]
    public void Llama_factorys_description_names_files_columns_and_limits()
    {
        var info = _folder.Write("dataset_info.json", """
            {"pairs": {"file_name": "qa.json", "num_samples": 1, "columns": {"prompt": "q", "response": "a"}},
             "talk": {"file_name": "talk.json", "formatting": "sharegpt", "columns": {"messages": "turns"}, "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}},
             "far": {"hf_hub_url": "org/far"},
             "odd": {"file_name": "qa.json", "formatting": "sharegpt", "tags": {"user_tag": "narrator"}}}
            """);
        _folder.Write("qa.json", """[{"q": "Q", "a": "A"}, {"q": "R", "a": "B"}]""");
        _folder.Write("talk.json", """[{"turns": [{"role": "user", "content": "U"}, {"role": "assistant", "content": "V"}]}]""");
        foreach (var path in new[] { info, _folder.Path })
        {
            using var set = DataFolder.Build(new DataOptions { Train = [new DataSource(path) { Subset = "pairs" }] });
            Assert.Equal(("A<|im_end|>", 1), (DataFolder.Trained(set.Train[0]).TrimEnd('\n'), set.Train.Count));
        }
        using (var whole = DataFolder.Build(DataFolder.Options(_folder.Path))) Assert.Equal(3, whole.Train.Count);
        Assert.Contains("it names 'pairs', 'talk', 'far', 'odd'", Refused(new DataSource(info)), StringComparison.Ordinal);
        Assert.Contains("it lies at 'org/far'", Refused(new DataSource(info) { Subset = "far" }), StringComparison.Ordinal);
        Assert.Contains("calls its user tag 'narrator'", Refused(new DataSource(info) { Subset = "odd" }), StringComparison.Ordinal);
        Assert.Contains("no data set 'none'", Refused(new DataSource(info) { Subset = "none" }), StringComparison.Ordinal);
    }

    private static string Refused(DataSource source) => Assert.Throws<DataException>(() => SourceFiles.Train(source)).Message;

    /// <summary>Rounding and clipping as datasets/arrow_reader.py has them: 7 rows, 10 percent of which is 0.7.</summary>
    [Theory]
    [InlineData("[:3]", "012")]
    [InlineData("[2:4]", "23")]
    [InlineData("[-2:]", "56")]
    [InlineData("[:-5]", "01")]
    [InlineData("[5:100]", "56")]
    [InlineData("[:10%]", "0")]
    [InlineData("[50%:]", "456")]
    [InlineData("train[:50%]", "0123")]
    [InlineData("[-30%:]", "56")]
    [InlineData("[:1]+[6:]", "06")]
    [InlineData("train", "0123456")]
    [InlineData("[:50%](closest)", "0123")]
    public void A_part_of_a_split_is_taken(string expression, string rows)
    {
        Row("a.jsonl", "0", "1", "2");
        Row("b.jsonl", "3", "4", "5", "6");
        using var set = DataFolder.Build(new DataOptions { Train = [Source with { Split = expression }] });
        Assert.Equal(rows, string.Concat(Enumerable.Range(0, set.Train.Count).Select(i => DataFolder.Text(set.Train[i].InputIds)[3..^4])));
    }

    [Theory]
    [InlineData("train[3]")]
    [InlineData("train[:200%]")]
    [InlineData("train[a:b]")]
    [InlineData("train[:99999999999999999999]")]
    public void What_is_no_part_of_a_split_is_refused(string expression)
    {
        Row("a.jsonl");
        Assert.Contains("is no part of a split", Refused(Source with { Split = expression }), StringComparison.Ordinal);
    }

    [Fact]
    public void A_part_without_rows_and_a_split_that_is_not_there_are_refused()
    {
        var file = Row("a.jsonl");
        Assert.Contains("has no rows", Refused(Source with { Split = "[5:]" }), StringComparison.Ordinal);
        Assert.Contains("has no split 'test'", Refused(new DataSource(file) { Split = "test" }), StringComparison.Ordinal);
    }

    [Fact]
    public void At_most_so_many_rows_of_each_source_are_taken()
    {
        Row("train/a.jsonl", "0", "1", "2");
        Row("train/b.jsonl", "3", "4");
        Row("dev/c.jsonl", "5", "6", "7");
        using var set = DataFolder.Build(DataFolder.Options(_folder.Path) with { MaxSamples = 4, MaxEvalSamples = 2 });
        Assert.Equal((4, 2), (set.Train.Count, set.Eval!.Count));
        using var split = DataFolder.Build(DataFolder.Options(Path.Combine(_folder.Path, "train")) with { EvalSplit = 3, MaxEvalSamples = 2 });
        Assert.Equal((2, 2), (split.Train.Count, split.Eval!.Count));
    }

    [Fact]
    public void A_data_sets_card_declares_subsets_and_splits()
    {
        _folder.Write("README.md", "---\nlicense: mit\nconfigs:\n- config_name: main\n  default: true\n  data_files:\n  - split: train\n    path: "
            + "main/train-*.jsonl\n  - split: dev\n    path:\n    - main/held.jsonl\n- config_name: small\n  data_files: small/*.jsonl\n---\n# A set\n");
        foreach (var file in new[] { "main/train-1.jsonl", "main/train-2.jsonl", "main/held.jsonl", "small/test.jsonl" }) Row(file);
        Assert.Equal(("main/train-1.jsonl main/train-2.jsonl", "main/held.jsonl"), (Train(), HeldOut()));
        Assert.Equal("small/test.jsonl", Train(Source with { Subset = "small" }));
        Assert.Contains("it has 'main', 'small'", Refused(Source with { Subset = "large" }), StringComparison.Ordinal);
    }

    [Fact]
    public void A_card_may_name_a_folder_alone()
    {
        _folder.Write("README.md", "---\nconfigs:\n- config_name: default\n  data_dir: sub\n- config_name: other\n  data_dir: ./more/\n---\n");
        foreach (var file in new[] { "sub/train.jsonl", "sub/dev.jsonl", "more/x.jsonl", "more/y.jsonl", "subway/train.jsonl" }) Row(file);
        Assert.Equal(("sub/train.jsonl", "sub/dev.jsonl"), (Train(), HeldOut()));
        Assert.Equal("more/x.jsonl more/y.jsonl", Train(Source with { Subset = "other" }));
    }

    [Fact]
    public void A_card_that_nests_without_end_is_passed_over()
    {
        _folder.Write("README.md", $"---\nconfigs: {new string('[', 100_000)}\n---\n");
        _folder.Write("sub/README.md", $"---\nconfigs:\n{string.Concat(Enumerable.Repeat("- ", 50_000))}a\n---\n");
        Row("sub/rows.jsonl");
        Assert.Equal("sub/rows.jsonl", Train());
        Assert.Equal("sub/rows.jsonl", Train(new DataSource(Path.Combine(_folder.Path, "sub"))));
    }

    [Theory]
    [InlineData("**/*.jsonl", "a/b/c.jsonl", true)]
    [InlineData("**/*.jsonl", "c.jsonl", true)]
    [InlineData("*.jsonl", "a/c.jsonl", false)]
    [InlineData("data/train-*", "data/train-0.parquet", true)]
    [InlineData("a[0-9]?.csv", "a1x.csv", true)]
    [InlineData("a[!0-9].csv", "a1.csv", false)]
    [InlineData("[z-a]", "z", false)]
    public void Patterns_of_paths_match_within_a_folder(string pattern, string path, bool matches) => Assert.Equal(matches, Glob.Matches(pattern, path));

    [Fact]
    public void Zstandard_files_and_all_names_of_lines_are_read()
    {
        Assert.Equal(["a"], Texts(_folder.Write("a.jsonl.zst", Zstandard("\uFEFF{\"text\": \"a\"}\n"))));
        Assert.Equal(["b"], Texts(_folder.Write("b.csv.zst", Zstandard("text\nb\n"))));
        foreach (var ending in new[] { ".jsonlines", ".ndjson", ".jsonl" }) Assert.Equal(["c"], Texts(Row("c" + ending, "c")));
        var whole = Zstandard(string.Concat(Enumerable.Range(0, 5000).Select(i => $"{{\"text\": \"row {i * 7919}\"}}\n")));
        foreach (var bytes in new[] { whole[..(whole.Length / 2)], Encoding.UTF8.GetBytes("{\"text\": \"plain\"}\n"), [.. whole[..100], .. new byte[200]] })
            Assert.Contains("it is no zstandard file, or is damaged or cut off",
                Assert.Throws<DataException>(() => Texts(_folder.Write("bad.jsonl.zst", bytes))).Message, StringComparison.Ordinal);
    }

    private static string[] Texts(string path)
    {
        using var set = DataFolder.Build(DataFolder.Options(path));
        return [.. Enumerable.Range(0, set.Train.Count).Select(i => DataFolder.Text(set.Train[i].InputIds)[3..^4])];
    }

    private static byte[] Zstandard(string text)
    {
        using var compressor = new ZstdSharp.Compressor();
        return compressor.Wrap(Encoding.UTF8.GetBytes(text)).ToArray();
    }

    [Fact]
    public void Unknown_columns_are_named_at_once_with_what_leaves_them_out()
    {
        var message = Refused("""{"text": "a", "colour": 1, "size": 2, "Unnamed: 0": 3, "__index_level_0__": 4, "level_0": 5, "": 6}""");
        Assert.Contains("columns 'colour', 'size' have no meaning in a text row", message, StringComparison.Ordinal);
        Assert.Contains("ignore=colour+size", message, StringComparison.Ordinal);
        Assert.Contains("ignore=size+colour", Refused("""{"text": "a", "colour": 1, "size": 2}""", ("ignore", "size")), StringComparison.Ordinal);
    }

    [Fact]
    public void Advice_that_was_followed_is_not_given_again()
    {
        var message = Refused("""{"question": "a", "reply": "b"}""", ("instruction", "question"), ("output", "answer"));
        Assert.Contains("the row has no column 'answer' to take for 'output'", message, StringComparison.Ordinal);
        Assert.DoesNotContain("for instance", message, StringComparison.Ordinal);
    }

    private string Refused(string row, params (string Ours, string Theirs)[] columns) => Assert.Throws<DataException>(() =>
        DataFolder.Build(new DataOptions { Train = [new DataSource(_folder.Write("rows.jsonl", row + "\n"), 1,
        columns.Length > 0 ? columns.ToDictionary(pair => pair.Ours, pair => pair.Theirs) : null)] })).Message;

    [Fact]
    public void An_empty_instruction_leaves_no_blank_line()
    {
        var path = _folder.Write("a.jsonl", """{"instruction": "", "input": "IN", "output": "O"}""");
        using var chat = DataFolder.Build(DataFolder.Options(path));
        Assert.Contains("user\nIN<|im_end|>", DataFolder.Text(chat.Train[0].InputIds), StringComparison.Ordinal);
        using var prompt = DatasetBuilder.Build(DataFolder.Options(path), new Trainer.Data.Rows.TextTools(new CharTokenizer()));
        Assert.Contains("### Instruction:\nIN\n\n### Response:O", DataFolder.Text(prompt.Train[0].InputIds), StringComparison.Ordinal);
    }
}
