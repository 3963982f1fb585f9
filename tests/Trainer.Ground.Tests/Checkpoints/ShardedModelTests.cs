using Trainer.Checkpoints;
using Trainer.Checkpoints.Folders;

namespace Trainer.Ground.Tests.Checkpoints;

[Trait("ring", "unit")]
public sealed class ShardedModelTests
{
    private static byte[] Shard(params string[] names) => Fixture.Safetensors(
        "{" + string.Join(',', names.Select((name, i) => $$"""{{'"'}}{{name}}":{"dtype":"U8","shape":[1],"data_offsets":[{{i}},{{i + 1}}]}""")) + "}",
        names.Length);

    private static string Index(params (string Tensor, string Shard)[] map) =>
        """{"metadata":{"total_size":1},"weight_map":{""" + string.Join(',', map.Select(pair => $"\"{pair.Tensor}\":\"{pair.Shard}\"")) + "}}";

    private static string Fault(TempFolder temp) => Assert.Throws<BadFileException>(() => ShardedModel.Open(temp.Path)).Message;

    [Fact]
    public void Shards_are_one_set_of_tensors()
    {
        using var temp = new TempFolder();
        temp.Write("s1.safetensors", Shard("a", "b"));
        temp.Write("s2.safetensors", Shard("c"));
        temp.Write(ShardedModel.IndexFile, Index(("a", "s1.safetensors"), ("b", "s1.safetensors"), ("c", "s2.safetensors")));
        using var model = ShardedModel.Open(temp.Path);
        Assert.Equal(3, model.TotalBytes);
        Assert.Equal([1], model.Bytes("b").ToArray());
        Assert.EndsWith("s2.safetensors", model.FileOf("c").Path);
        Assert.Contains("tensor 'd' is missing", Assert.Throws<BadFileException>(() => model.Entry("d")).Message);
    }

    [Fact]
    public void A_missing_shard_is_named()
    {
        using var temp = new TempFolder();
        temp.Write(ShardedModel.IndexFile, Index(("a", "s1.safetensors")));
        Assert.Contains("shard 's1.safetensors' is missing", Fault(temp));
    }

    [Fact]
    public void A_tensor_of_the_index_that_its_shard_lacks_is_named()
    {
        using var temp = new TempFolder();
        temp.Write("s1.safetensors", Shard("a"));
        temp.Write(ShardedModel.IndexFile, Index(("a", "s1.safetensors"), ("b", "s1.safetensors")));
        Assert.Contains("tensor 'b' is missing from shard 's1.safetensors'", Fault(temp));
    }

    [Fact]
    public void A_tensor_beside_the_index_belongs_to_the_model_and_one_in_the_wrong_shard_is_named()
    {
        using var temp = new TempFolder();
        temp.Write("s1.safetensors", Shard("a", "x"));
        temp.Write(ShardedModel.IndexFile, Index(("a", "s1.safetensors")));
        using (var model = ShardedModel.Open(temp.Path))
        {
            Assert.Equal([1], model.Bytes("x").ToArray());
        }
        temp.Write("s2.safetensors", Shard("x", "b"));
        temp.Write(ShardedModel.IndexFile, Index(("a", "s1.safetensors"), ("b", "s2.safetensors")));
        Assert.Contains("tensor 'x' is in shard 's2.safetensors'", Fault(temp));
        temp.Write("s2.safetensors", Shard("y"));
        temp.Write(ShardedModel.IndexFile, Index(("a", "s1.safetensors"), ("x", "s2.safetensors"), ("y", "s2.safetensors")));
        Assert.Contains("says 's2.safetensors'", Fault(temp));
    }

    [Theory]
    [InlineData("../secret.safetensors")]
    [InlineData("/etc/passwd")]
    [InlineData("sub/s.safetensors")]
    [InlineData("..\\\\s.safetensors")]
    [InlineData("..")]
    [InlineData("")]
    public void A_shard_outside_the_folder_is_refused(string shard)
    {
        using var temp = new TempFolder();
        temp.Write(ShardedModel.IndexFile, Index(("a", shard)));
        Assert.Contains("not the plain name of a file", Fault(temp));
    }

    [Fact]
    public void A_link_out_of_the_folder_is_refused_and_one_within_is_followed()
    {
        using var temp = new TempFolder();
        var outside = temp.Write("outside.bin", Shard("a"));
        var folder = Directory.CreateDirectory(temp["model"]).FullName;
        File.CreateSymbolicLink(temp["model", ShardedModel.SingleFile], outside);
        Assert.Contains("no file of this kind", Assert.Throws<BadFileException>(() => ShardedModel.Open(folder)).Message);
        File.Delete(temp["model", ShardedModel.SingleFile]);
        File.Move(outside, temp["model", "weights"]);
        File.CreateSymbolicLink(temp["model", ShardedModel.SingleFile], "weights");
        ShardedModel.Open(folder).Dispose();
    }

    [Fact]
    public void Weights_linked_from_elsewhere_are_read_and_a_link_to_a_file_of_another_kind_is_not()
    {
        using var temp = new TempFolder();
        string big = temp.Write("disk/big.safetensors", Shard("a")), blob = temp.Write("models--o--n/blobs/abc", Shard("a")),
            key = temp.Write("id_key", "secret");
        Directory.CreateDirectory(temp["models--o--n", "snapshots"]);
        string folder = Directory.CreateDirectory(temp["model"]).FullName, weights = temp["model", ShardedModel.SingleFile];
        foreach (var target in new[] { big, blob })
        {
            File.CreateSymbolicLink(weights, target);
            ShardedModel.Open(folder).Dispose();
            File.Delete(weights);
        }
        File.CreateSymbolicLink(temp["model", "chat_template.jinja"], key);
        Assert.Contains("no file of this kind",
            Assert.Throws<BadFileException>(() => ModelFolderFiles.CopyTokenizer(TextFolders.Of(folder, null), temp.Path)).Message);
    }

    [Fact]
    public void A_tied_pair_stored_under_the_heads_name_is_found_as_the_embedding()
    {
        using var temp = new TempFolder();
        temp.Write(ShardedModel.SingleFile, Shard("x", "lm_head.weight"));
        using (var tied = ShardedModel.Open(temp.Path, isTied: true))
        {
            Assert.Equal([1], tied.Bytes("model.embed_tokens.weight").ToArray());
            Assert.Equal(["model.embed_tokens.weight", "x"], tied.Tensors.Keys.Order());
        }
        using var untied = ShardedModel.Open(temp.Path);
        Assert.Contains("lm_head.weight", untied.Tensors.Keys);
    }

    [Fact]
    public void The_links_of_a_Hugging_Face_cache_are_followed_to_its_blobs()
    {
        using var temp = new TempFolder();
        temp.Write("models--o--n/blobs/abc", Shard("a"));
        var snapshot = Directory.CreateDirectory(temp["models--o--n", "snapshots", "r1"]).FullName;
        File.CreateSymbolicLink(Path.Combine(snapshot, ShardedModel.SingleFile), "../../blobs/abc");
        using var model = ShardedModel.Open(snapshot);
        Assert.Single(model.Tensors);
        File.Delete(Path.Combine(snapshot, ShardedModel.SingleFile));
        File.CreateSymbolicLink(Path.Combine(snapshot, ShardedModel.SingleFile), "../../../elsewhere");
        temp.Write("elsewhere", Shard("a"));
        Assert.Throws<BadFileException>(() => ShardedModel.Open(snapshot));
    }

    [Fact]
    public void A_pickle_alone_is_refused_with_the_way_out()
    {
        using var temp = new TempFolder();
        temp.Write("pytorch_model.bin", [1]);
        Assert.Contains("safe_serialization=True", Fault(temp));
    }

    [Fact]
    public void An_empty_folder_a_missing_one_and_a_broken_index_are_told_apart()
    {
        using var temp = new TempFolder();
        Assert.Contains("no weights at all", Fault(temp));
        Assert.Contains("no such folder", Assert.Throws<BadFileException>(() => ShardedModel.Open(temp["none"])).Message);
        temp.Write(ShardedModel.IndexFile, "{\"weight_map\":");
        Assert.Contains("cannot be read", Fault(temp));
        temp.Write(ShardedModel.IndexFile, """{"weight_map":{"a":"\ud800"}}""");
        Assert.Contains("cannot be read", Fault(temp));
        temp.Write(ShardedModel.IndexFile, """{"weight_map":{"a":"s","a":"t"}}""");
        Assert.Contains("cannot be read", Fault(temp));
        temp.Write(ShardedModel.IndexFile, "{}");
        Assert.Contains("no weight_map", Fault(temp));
    }
}
