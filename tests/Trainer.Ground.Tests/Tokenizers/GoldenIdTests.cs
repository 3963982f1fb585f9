using System.Text.Json;
using Trainer.Tokenizers;

namespace Trainer.Ground.Tests.Tokenizers;

[Trait("ring", "unit")]
public class GoldenIdTests
{
    [SkippableTheory]
    [InlineData("tiny-bytelevel")]
    [InlineData("tiny-bytefallback")]
    [InlineData("tiny-unigram")]
    [InlineData("tiny-unigram-bytes")]
    [InlineData("tiny-unigram-plain")]
    [InlineData("ort-phi-2")]
    [InlineData("ort-phi-3-mini")]
    [InlineData("lenml-llama3_1")]
    [InlineData("lenml-qwen2_5")]
    [InlineData("lenml-mistral_nemo")]
    public void Ids_and_decoding_equal_the_reference_on_every_string(string name)
    {
        var tokenizer = GoldenFiles.Load(name);
        var faults = new List<string>();
        foreach (var expected in GoldenFiles.Json(Path.Combine(GoldenFiles.FolderOf(name), "ids-a.json.gz")).EnumerateArray())
        {
            var id = expected.GetProperty("id").GetString()!;
            var text = GoldenFiles.Strings[id];
            var ids = GoldenFiles.Ints(expected.GetProperty("ids"));
            var encoding = tokenizer.Encode(text, false);
            if (!ids.SequenceEqual(encoding.Ids))
                faults.Add($"{id}: {string.Join(' ', ids.Take(20))} but {string.Join(' ', encoding.Ids.Take(20))}");
            if (encoding.Offsets.Length != encoding.Ids.Length
                || encoding.Offsets.Any(range => range.Start < 0 || range.End < range.Start || range.End > text.Length))
                faults.Add($"{id}: offsets outside the text");
            if (expected.TryGetProperty("offsets", out var offsets)
                && !GoldenFiles.Ints(offsets).SequenceEqual(encoding.Offsets.SelectMany(range => new[] { range.Start, range.End })))
                faults.Add($"{id}: offsets {string.Join(' ', GoldenFiles.Ints(offsets).Take(20))} but {string.Join(' ', encoding.Offsets.Take(10))}");
            // Absent members are as usual: no special tokens, and decoding gives the text.
            var special = expected.TryGetProperty("ids_special", out var list) ? GoldenFiles.Ints(list) : ids;
            if (!special.SequenceEqual(tokenizer.Encode(text, true).Ids))
                faults.Add($"{id}: ids with special tokens differ");
            var decoded = Member(expected, "decoded") ?? GoldenFiles.WellFormed(text);
            if (tokenizer.Decode(ids, false) != decoded)
                faults.Add($"{id}: decoded '{tokenizer.Decode(ids, false)}' is not '{decoded}'");
            var skipped = Member(expected, "decoded_skip_special") ?? decoded;
            if (tokenizer.Decode(ids, true) != skipped)
                faults.Add($"{id}: decoded without special tokens '{tokenizer.Decode(ids, true)}' is not '{skipped}'");
            if (Stream(tokenizer, ids, false) != decoded || Stream(tokenizer, ids, true) != skipped)
                faults.Add($"{id}: decoded in a stream '{Stream(tokenizer, ids, true)}' is not '{skipped}'");
        }
        Assert.True(faults.Count == 0, $"{faults.Count} faults: {string.Join("\n", faults.Take(10))}");
    }

    [SkippableTheory]
    [InlineData("ort-phi-3-mini")]
    [InlineData("lenml-mistral_nemo")]
    public void Every_code_point_is_encoded_like_the_reference(string name)
    {
        var tokenizer = GoldenFiles.Load(name);
        var bytes = GoldenFiles.Unzip(Path.Combine(GoldenFiles.FolderOf(name), "codepoints.u32le.gz"));
        var faults = new List<string>();
        var tested = 0;
        for (var codePoint = 0; codePoint < 0x110000; codePoint++)
        {
            var expected = BitConverter.ToUInt32(bytes, codePoint * 4);
            if (expected == 0)
                continue;
            tested++;
            var c = codePoint is >= 0xD800 and < 0xE000 ? ((char)codePoint).ToString() : char.ConvertFromUtf32(codePoint);
            var hash = 2166136261u;
            foreach (var id in tokenizer.Encode($"a{c}b {c}c1{c}{c}2!{c}'{c}", false).Ids)
                hash = (hash ^ (uint)id) * 16777619u;
            if (hash != expected)
                faults.Add($"U+{codePoint:X4}");
        }
        Assert.True(tested > 10_000);
        Assert.True(faults.Count == 0, $"{faults.Count} of {tested} differ: {string.Join(' ', faults.Take(20))}");
    }

    private static string? Member(JsonElement element, string name) => element.TryGetProperty(name, out var value) ? value.GetString() : null;

    private static string Stream(HfTokenizer tokenizer, int[] ids, bool skipSpecialTokens)
    {
        var decoder = new StreamDecoder(tokenizer, skipSpecialTokens);
        return string.Concat(ids.Select(decoder.Add)) + decoder.Flush();
    }

    [SkippableTheory]
    [InlineData("llama-bpe", "lenml-llama3_1")]
    [InlineData("phi-3", "ort-phi-3-mini")]
    [InlineData("qwen2", "lenml-qwen2_5")]
    public void The_vocabulary_suites_of_llama_cpp_pass(string suite, string name)
    {
        var tokenizer = GoldenFiles.Load(name);
        var path = Path.Combine(GoldenFiles.Shared, "llamacpp-vocab", $"ggml-vocab-{suite}.gguf");
        var texts = File.ReadAllText(path + ".inp").Split("\n__ggml_vocab_test__\n");
        var lines = File.ReadAllText(path + ".out").Split('\n');
        var compared = 0;
        for (var i = 0; i < texts.Length && i < lines.Length; i++)
        {
            if (texts[i].Length == 0)
                continue;
            var expected = lines[i].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse);
            Assert.Equal(expected, tokenizer.Encode(texts[i], false).Ids);
            compared++;
        }
        Assert.True(compared >= 40);
    }
}
