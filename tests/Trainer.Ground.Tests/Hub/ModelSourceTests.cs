using Trainer.Ground.Tests.Checkpoints;
using Trainer.Hub;

namespace Trainer.Ground.Tests.Hub;

[Trait("ring", "unit")]
public sealed class ModelSourceTests
{
    private static ModelSource Source(TempFolder temp) => new(new HubOptions { CacheFolder = temp["hub"] });

    private static string Cached(TempFolder temp, string commit, string? reference = "main")
    {
        temp.Write($"hub/models--org--tiny/snapshots/{commit}/config.json", "{}");
        temp.Write($"hub/models--org--tiny/snapshots/{commit}/model.safetensors", "x");
        if (reference is not null) temp.Write($"hub/models--org--tiny/refs/{reference}", commit);
        return temp["hub", "models--org--tiny", "snapshots", commit];
    }

    private static string Fault(TempFolder temp, string model) => Assert.Throws<NotAvailableException>(() => Source(temp).Resolve(model)).Message;

    [Fact]
    public void A_folder_is_taken_as_it_is_and_a_file_is_not()
    {
        using var temp = new TempFolder();
        Assert.Equal(temp.Path, Source(temp).Resolve(temp.Path));
        Assert.Contains("is a file", Fault(temp, temp.Write("m.gguf", "x")));
    }

    [Fact]
    public void A_hub_id_is_found_by_reference_by_commit_and_by_the_only_snapshot()
    {
        using var temp = new TempFolder();
        var alone = Cached(temp, "aaaaaaaaaaaa", null);
        Assert.Equal(alone, Source(temp).Resolve("org/tiny"));
        var main = Cached(temp, "bbbbbbbbbbbb");
        Assert.Equal(main, Source(temp).Resolve("org/tiny"));
        Assert.Equal(alone, Source(temp).Resolve("org/tiny@aaaaaaaaaaaa"));
        Assert.Equal(alone, Source(temp).Resolve("org/tiny@aaaaaaa"));
        Assert.Contains("trainer download org/tiny@v2", Fault(temp, "org/tiny@v2"));
    }

    [Fact]
    public void What_is_not_cached_is_refused_with_what_to_type()
    {
        using var temp = new TempFolder();
        Cached(temp, "aaaa");
        Assert.EndsWith("; type: trainer download org/other", Fault(temp, "org/other"));
        Assert.Contains("the cache has 'org/tiny'", Fault(temp, "else/tiny"));
        Assert.Contains("NousResearch/Hermes-3-Llama-3.1-70B", Fault(temp, "hermes-70b"));
        Assert.Contains("trainer download NousResearch/Hermes-3-Llama-3.1-70B", Fault(temp, "hermes-70b"));
        Assert.Contains("if it was meant as a preset", Fault(temp, "hermes-70"));
    }

    [Theory]
    [InlineData("./no/such")]
    [InlineData("/no/such/folder")]
    [InlineData("a/b/c")]
    [InlineData("org/a..b")]
    [InlineData("org/na--me")]
    [InlineData("org/name@../x")]
    [InlineData("org/name@")]
    public void A_path_that_is_not_there_is_not_taken_for_a_hub_id(string model)
    {
        using var temp = new TempFolder();
        Assert.Contains("there is no such folder", Fault(temp, model));
    }

    [Fact]
    public void A_model_that_is_only_partly_there_is_named_with_what_is_missing()
    {
        using var temp = new TempFolder();
        var folder = Cached(temp, "aaaa");
        File.Delete(Path.Combine(folder, "model.safetensors"));
        Assert.Contains("'model.safetensors' is missing", Fault(temp, "org/tiny"));
        File.CreateSymbolicLink(Path.Combine(folder, "model.safetensors"), "../../blobs/none");
        Assert.Contains("'model.safetensors' is missing", Fault(temp, "org/tiny"));
        File.Delete(Path.Combine(folder, "model.safetensors"));
        File.WriteAllText(Path.Combine(folder, "model.safetensors.index.json"), """{"weight_map":{"a":"s1","b":"s2"}}""");
        File.WriteAllText(Path.Combine(folder, "s1"), "");
        Assert.Contains("'s2' is missing", Fault(temp, "org/tiny"));
        Assert.Equal(folder, Source(temp).Resolve("org/tiny", needsWeights: false));
    }

    [Fact]
    public void The_variables_of_the_Python_tools_say_where_the_cache_is()
    {
        static HubOptions Of(params (string, string)[] pairs)
            => HubOptions.FromEnvironment(name => name == "HOME" ? "/u" : pairs.FirstOrDefault(pair => pair.Item1 == name).Item2);
        Assert.Equal("/u/.cache/huggingface/hub", Of().CacheFolder);
        Assert.Equal("/x/huggingface/hub", Of(("XDG_CACHE_HOME", "/x")).CacheFolder);
        Assert.Equal("/h/hub", Of(("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/h")).CacheFolder);
        Assert.Equal("/c", Of(("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")).CacheFolder);
        Assert.Equal("/u/c", Of(("HF_HUB_CACHE", "~/c")).CacheFolder);
        Assert.Equal("http://mirror:8080/", Of(("HF_ENDPOINT", "http://mirror:8080/")).Endpoint.ToString());
        Assert.True(Of(("HF_HUB_OFFLINE", "1")).IsOffline);
        Assert.False(Of(("HF_HUB_OFFLINE", "0")).IsOffline);
        Assert.Equal("t", Of(("HF_TOKEN", " t\n")).Token);
        Assert.Contains("HF_ENDPOINT", Assert.Throws<NotAvailableException>(() => Of(("HF_ENDPOINT", "nonsense"))).Message);
    }

    [Fact]
    public void Every_preset_is_a_hub_id()
    {
        Assert.All(ModelPresets.All, preset => Assert.Equal(preset.HubId, ModelSource.HubId(preset.Name)!.Id));
        Assert.Equal("x", ModelSource.HubId("hermes-70b@x")!.Revision);
    }
}
