#:property PublishAot=false
#:property RestorePackagesWithLockFile=false
#:property ManagePackageVersionsCentrally=false
// Trains the embedded model's byte-level BPE (Sennrich et al., arXiv 1508.07909, over GPT-2's byte alphabet) on OUT/pretrain.jsonl and writes
// tokenizer.json, tokenizer_config.json and chat_template.jinja to MODEL.
// Usage: dotnet run tokenizer.cs OUT MODEL
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;

const int VocabularySize = 768;
string[] specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
var (output, model) = (args[0], args[1]);
Directory.CreateDirectory(model);

var alphabet = ByteAlphabet();
var counts = new Dictionary<string, int>(StringComparer.Ordinal);
foreach (var line in File.ReadLines(Path.Combine(output, "pretrain.jsonl")))
    foreach (Match word in Regex.Matches(string.Join('\n', Texts(JsonDocument.Parse(line).RootElement)), @"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"))
    {
        var key = string.Concat(Encoding.UTF8.GetBytes(word.Value).Select(b => alphabet[b]));
        counts[key] = counts.GetValueOrDefault(key) + 1;
    }

var words = counts.OrderBy(static pair => pair.Key, StringComparer.Ordinal).Select(static pair => (Pieces: pair.Key.Select(static c => c.ToString()).ToList(), pair.Value)).ToList();
var merges = new List<string[]>();
while (specials.Length + 256 + merges.Count < VocabularySize)
{
    var pairs = new Dictionary<(string, string), int>();
    foreach (var (pieces, count) in words)
        for (var i = 0; i + 1 < pieces.Count; i++)
            pairs[(pieces[i], pieces[i + 1])] = pairs.GetValueOrDefault((pieces[i], pieces[i + 1])) + count;
    // Ties go to the pair that sorts first, so that the file is the same on every machine.
    var (left, right) = pairs.OrderByDescending(static pair => pair.Value).ThenBy(static pair => pair.Key.Item1, StringComparer.Ordinal).ThenBy(static pair => pair.Key.Item2, StringComparer.Ordinal).First().Key;
    merges.Add([left, right]);
    foreach (var (pieces, _) in words)
        for (var i = 0; i + 1 < pieces.Count; i++)
            if (pieces[i] == left && pieces[i + 1] == right)
            {
                pieces[i] += right;
                pieces.RemoveAt(i + 1);
            }
}

var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
foreach (var special in specials) vocabulary.Add(special, vocabulary.Count);
foreach (var letter in alphabet.Order()) vocabulary.Add(letter.ToString(), vocabulary.Count);
foreach (var merge in merges) vocabulary.TryAdd(merge[0] + merge[1], vocabulary.Count);

var json = new JsonSerializerOptions { WriteIndented = true, IndentSize = 1, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
var byteLevel = new { type = "ByteLevel", add_prefix_space = false, trim_offsets = false, use_regex = true };
Write("tokenizer.json", JsonSerializer.Serialize(new
{
    version = "1.0",
    truncation = (object?)null,
    padding = (object?)null,
    added_tokens = specials.Select((content, id) => new { id, content, single_word = false, lstrip = false, rstrip = false, normalized = false, special = true }),
    normalizer = (object?)null,
    pre_tokenizer = byteLevel,
    post_processor = (object?)null,
    decoder = byteLevel,
    model = new { type = "BPE", dropout = (object?)null, unk_token = (string?)null, continuing_subword_prefix = (string?)null, end_of_word_suffix = (string?)null, fuse_unk = false, byte_fallback = false, ignore_merges = false, vocab = vocabulary, merges = merges.Select(static merge => $"{merge[0]} {merge[1]}") },
}, json));
Write("tokenizer_config.json", JsonSerializer.Serialize(new
{
    add_bos_token = false,
    add_prefix_space = false,
    clean_up_tokenization_spaces = false,
    eos_token = specials[2],
    pad_token = specials[0],
    model_max_length = 256,
    tokenizer_class = "PreTrainedTokenizerFast",
}, json));
Write("chat_template.jinja", """
    {%- for message in messages %}
    {%- if message['role'] == 'assistant' %}
    {{- '<|im_start|>assistant\n' }}{% generation %}{{- message['content'] + '<|im_end|>' }}{% endgeneration %}{{- '\n' }}
    {%- else %}
    {{- '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}
    {%- endif %}
    {%- endfor %}
    {%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- endif %}
    """);
Console.WriteLine($"{vocabulary.Count} tokens, {merges.Count} merges from {counts.Count} different words");

void Write(string name, string text) => File.WriteAllText(Path.Combine(model, name), text + "\n");

static IEnumerable<string> Texts(JsonElement row)
    => row.TryGetProperty("text", out var text) ? [text.GetString()!] : row.GetProperty("messages").EnumerateArray().SelectMany(static message => new[] { message.GetProperty("role").GetString()!, message.GetProperty("content").GetString()! });

// GPT-2's alphabet: printable Latin-1 bytes are themselves, the other 68 take the code points from 256 on.
static char[] ByteAlphabet()
{
    var letters = new char[256];
    var next = 256;
    for (var b = 0; b < 256; b++)
        letters[b] = b is >= 33 and <= 126 or >= 161 and <= 172 or >= 174 and <= 255 ? (char)b : (char)next++;
    return letters;
}
