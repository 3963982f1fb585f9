using Trainer.Data;

namespace Trainer.Engine.Tests.Data;

/// <summary>Which files of a data set are fetched.</summary>
[Trait("ring", "unit")]
public sealed class DatasetChoiceTests : IDisposable
{
    private static readonly string[] Paths = [".gitattributes", "README.md", "dataset_infos.json", "main/train-0.parquet", "main/test-0.parquet",
        "socratic/train-0.parquet", "load.py"];

    private readonly DataFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string Chosen(string? subset, string? split, bool card = true)
    {
        if (card)
            _folder.Write("README.md", "---\nconfigs:\n- config_name: main\n  data_files:\n  - {split: train, path: main/train-*}\n  - {split: test, path: "
                + "main/test-*}\n- config_name: socratic\n  data_files: [{split: train, path: socratic/train-*}]\n---\n");
        return string.Join(' ', DatasetChoice.Of("org/set", Paths, card ? _folder.Path : null, subset, split));
    }

    [Theory]
    [InlineData("main", null, "main/train-0.parquet main/test-0.parquet")]
    [InlineData("main", "test", "main/test-0.parquet")]
    [InlineData("main", "train[:10%]", "main/train-0.parquet")]
    [InlineData("socratic", null, "socratic/train-0.parquet")]
    public void Only_the_files_of_the_subset_and_split(string? subset, string? split, string files) => Assert.Equal(files, Chosen(subset, split));

    [Fact]
    public void Without_a_card_folders_and_names_tell()
    {
        Assert.Equal("main/test-0.parquet main/train-0.parquet", Chosen("main", null, card: false));
        Assert.Equal("socratic/train-0.parquet", Chosen("socratic", "train", card: false));
    }

    [Theory]
    [InlineData(null, null, "several subsets and none is the default: 'main', 'socratic'")]
    [InlineData("none", null, "no subset 'none'")]
    [InlineData("main", "dev", "no split 'dev': it has 'train', 'test'")]
    public void What_is_not_there_is_refused(string? subset, string? split, string reason) =>
        Assert.Contains(reason, Assert.Throws<DataException>(() => Chosen(subset, split)).Message, StringComparison.Ordinal);
}
