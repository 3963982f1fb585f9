using System.Text.Json.Nodes;
using CsCheck;
using Trainer.Tokenizers;

namespace Trainer.Ground.Tests.Tokenizers;

[Trait("ring", "unit")]
public class LoadFaultTests
{
    private const string Small = """
        {"version":"1.0","truncation":null,"padding":null,"added_tokens":[{"id":0,"content":"<s>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],
        "normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Replace","pattern":{"String":"x"},"content":"y"},{"type":"Strip","strip_left":true,"strip_right":false}]},
        "pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\p{L}+|\\s+(?!\\S)"},"behavior":"Isolated","invert":false},{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true}]},
        "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[0],"tokens":["<s>"]}}},
        "decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"Strip","content":" ","start":1,"stop":0}]},
        "model":{"type":"BPE","dropout":null,"unk_token":"<s>","continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":true,"byte_fallback":true,"ignore_merges":false,
        "vocab":{"<s>":0,"a":1,"b":2,"ab":3,"▁":4,"▁a":5},"merges":["a b",["▁","a"]]}}
        """;

    [Theory]
    [InlineData("\"a b\"", "\"a c\"", "merge 0 needs token 'c'")]
    [InlineData("\"ab\":3", "\"xy\":3", "merge 0 needs token 'ab'")]
    [InlineData("\"a b\"", "\"a  b\"", "merge 0 is not two tokens")]
    [InlineData("\"ab\":3", "\"ab\":2", "id 2 of token 'ab' is taken")]
    [InlineData("\"ab\":3", "\"a\":3", "token 'a' is listed twice")]
    [InlineData("\"ab\":3", "\"ab\":-1", "token 'ab' has no usable id")]
    [InlineData("\"type\":\"BPE\"", "\"type\":\"WordPiece\"", "model type 'WordPiece'")]
    [InlineData("\"type\":\"NFC\"", "\"type\":\"BertNormalizer\"", "normalizer 'BertNormalizer'")]
    [InlineData("\"type\":\"Metaspace\"", "\"type\":\"UnicodeScripts\"", "pre-tokenizer 'UnicodeScripts'")]
    [InlineData("\"type\":\"TemplateProcessing\"", "\"type\":\"Other\"", "post-processor 'Other'")]
    [InlineData("\"type\":\"Strip\",\"content\"", "\"type\":\"CTC\",\"content\"", "decoder 'CTC'")]
    [InlineData("\"dropout\":null", "\"dropout\":0.1", "dropout")]
    [InlineData("\"version\":\"1.0\"", "\"version\":\"2.0\"", "version '2.0'")]
    [InlineData("\"id\":0,\"content\":\"<s>\"", "\"id\":7,\"content\":\"<s>\"", "says id 7, but the vocabulary gives it 0")]
    [InlineData("\"behavior\":\"Isolated\"", "\"behavior\":\"Sideways\"", "'Sideways'")]
    [InlineData("\\\\p{L}+|", "\\\\p{L}+|(a)\\\\1|", "pre_tokenizer.pretokenizers[0].pattern.Regex")]
    [InlineData("\"special_tokens\":{\"<s>\"", "\"special_tokens\":{\"<x>\"", "uses the token '<s>'")]
    public void A_file_that_contradicts_itself_is_refused_by_name(string from, string to, string expected)
    {
        Assert.Contains(from, Small, StringComparison.Ordinal);
        var fault = Assert.Throws<TokenizerException>(() => Load(Small.Replace(from, to, StringComparison.Ordinal)));
        Assert.Contains(expected, fault.Message, StringComparison.Ordinal);
        Assert.StartsWith("tokenizer file 'small.json'", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_added_token_that_the_normalizer_empties_is_refused_for_it_would_match_everywhere()
    {
        const string Last = "\"special\":true}]";
        var spaces = Last.Replace("]", ",{\"id\":6,\"content\":\"  \",\"normalized\":true}]", StringComparison.Ordinal);
        var fault = Assert.Throws<TokenizerException>(() => Load(Small.Replace(Last, spaces, StringComparison.Ordinal)));
        Assert.Contains("leaves nothing of added token '  ' (id 6)", fault.Message, StringComparison.Ordinal);
        Assert.Equal(6, Load(Small.Replace(Last, spaces.Replace("true}]", "false}]", StringComparison.Ordinal), StringComparison.Ordinal)).IdOf("  "));
    }

    [Fact]
    public void The_small_file_itself_is_sound()
    {
        Assert.Equal([0, 4, 3], Load(Small).Encode("ab", true).Ids);
    }

    [Fact]
    public void A_new_token_takes_the_id_behind_the_number_of_tokens_even_where_ids_have_holes()
    {
        var holes = Small.Replace("\"▁a\":5", "\"▁a\":9", StringComparison.Ordinal).Replace("\"special\":true}]",
            "\"special\":true},{\"id\":9,\"content\":\"▁a\"},{\"id\":6,\"content\":\"<new>\"}]", StringComparison.Ordinal);
        Assert.Equal(6, Load(holes).IdOf("<new>"));
        Assert.Equal(10, Load(holes).VocabularySize);
    }

    [Fact]
    public void Broken_json_names_line_and_byte()
    {
        Assert.Contains("line 1, byte", Assert.Throws<TokenizerException>(() => Load("{\"version\":")).Message, StringComparison.Ordinal);
        Assert.Throws<TokenizerException>(() => Load(""));
        Assert.Throws<TokenizerException>(() => Load("[]"));
        Assert.Throws<TokenizerException>(() => Load(new string('[', 100_000)));
    }

    [Fact]
    public void A_folder_without_a_tokenizer_says_so()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("no tokenizer.json", Assert.Throws<TokenizerException>(() => HfTokenizer.Load(folder.Path)).Message, StringComparison.Ordinal);
        Assert.Throws<TokenizerException>(() => HfTokenizer.Load(folder.PathOf("absent")));
    }

    [Fact]
    public void Any_change_of_the_bytes_loads_or_is_refused_and_never_crashes()
    {
        var bytes = System.Text.Encoding.UTF8.GetBytes(Small);
        var change = Gen.Select(Gen.Int[0, bytes.Length - 1], Gen.Byte, Gen.Int[0, 3]).Array[1, 6];
        change.Sample(changes =>
        {
            var copy = bytes.ToList();
            foreach (var (at, value, kind) in changes)
            {
                var index = Math.Min(at, copy.Count - 1);
                if (kind == 0)
                    copy.RemoveAt(index);
                else if (kind == 1)
                    copy.Insert(index, value);
                else
                    copy[index] = kind == 2 ? value : (byte)"0123456789\"{}[],:-"[value % 18];
            }
            Survives(() => Load(copy.ToArray()));
        }, iter: 800, threads: 1);
    }

    [Fact]
    public void Any_value_in_any_place_loads_or_is_refused_and_never_crashes()
    {
        string[] values = ["null", "true", "0", "-1", "1e99", "99999999999", "\"\"", "\"\\ud800\"", "\"a\"", "[]", "[[]]", "{}", "{\"type\":\"NFC\"}",
            "{\"type\":3}", "[null]", "{\"type\":\"Sequence\"}", "\"(\"", "\"(a+)+$\""];
        var paths = Paths(JsonNode.Parse(Small)!).ToArray();
        for (var path = 0; path < paths.Length; path++)
        {
            foreach (var value in values)
            {
                var text = Small;
                var root = JsonNode.Parse(text)!;
                var marker = "@@" + path;
                Put(root, paths[path], marker);
                text = root.ToJsonString().Replace($"\"{marker}\"", value, StringComparison.Ordinal);
                Survives(() => Load(text));
            }
        }
    }

    [Fact]
    public void A_damaged_model_file_is_refused_and_never_crashes()
    {
        using var folder = new TemporaryFolder();
        var bytes = SentencePieceWriter.Write([("<unk>", 0, 2), ("<s>", 0, 3), ("a", -1, 1), ("b", -2, 1), ("ab", -3, 1), ("▁", -4, 1)], 2, false, true);
        var change = Gen.Select(Gen.Int[0, bytes.Length - 1], Gen.Byte, Gen.Bool).Array[1, 4];
        change.Sample(changes =>
        {
            var copy = bytes.ToList();
            foreach (var (at, value, cut) in changes)
            {
                if (cut && copy.Count > 1)
                    copy.RemoveRange(Math.Min(at, copy.Count - 1), 1);
                else
                    copy[Math.Min(at, copy.Count - 1)] = value;
            }
            File.WriteAllBytes(folder.PathOf("tokenizer.model"), [.. copy]);
            Survives(() => HfTokenizer.Load(folder.Path));
        }, iter: 400, threads: 1);
    }

    private static void Survives(Func<HfTokenizer> load)
    {
        try
        {
            var tokenizer = load();
            var ids = tokenizer.Encode("ab x<s> b\ud800", true).Ids;
            tokenizer.Decode(ids, true);
            tokenizer.Decode([-1, int.MaxValue], false);
        }
        catch (TokenizerException)
        {
        }
    }

    private static IEnumerable<object[]> Paths(JsonNode node)
    {
        var children = node is JsonObject map ? map.Select(pair => ((object)pair.Key, pair.Value))
            : node is JsonArray list ? list.Select((item, index) => ((object)index, item)) : [];
        foreach (var (key, child) in children.ToArray())
        {
            yield return [key];
            foreach (var path in child is null ? [] : Paths(child))
                yield return [key, .. path];
        }
    }

    private static void Put(JsonNode root, object[] path, string value)
    {
        foreach (var key in path[..^1])
            root = key is int index ? root[index]! : root[(string)key]!;
        if (path[^1] is int last)
            root[last] = value;
        else
            root[(string)path[^1]] = value;
    }

    private static HfTokenizer Load(string json) => Load(System.Text.Encoding.UTF8.GetBytes(json));

    private static HfTokenizer Load(byte[] json) => HfTokenizer.FromJson(json, "small.json");
}
