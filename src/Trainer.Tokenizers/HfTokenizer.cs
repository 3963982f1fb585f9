using Microsoft.ML.Tokenizers;
using Trainer.Tokenizers.Alignment;
using Trainer.Tokenizers.Bpe;
using Trainer.Tokenizers.Files;

namespace Trainer.Tokenizers;

/// <summary>
/// The tokenizer of a model folder (tokenizer.json, or tokenizer.model of SentencePiece), with ids, offsets and decoding equal to
/// Hugging Face's tokenizers library. Parts it does not know are refused when it is loaded. It may be used from several threads.
/// </summary>
public sealed partial class HfTokenizer : Tokenizer
{
    private readonly TokenizerParts _parts;

    private HfTokenizer(TokenizerParts parts)
    {
        _parts = parts;
        var highest = -1;
        foreach (var id in parts.Vocabulary.Tokens.Values)
            highest = Math.Max(highest, id);
        foreach (var token in parts.Added.Tokens)
            highest = Math.Max(highest, token.Id);
        VocabularySize = highest + 1;
        BosId = RoleId(parts.Special.Bos);
        EosId = RoleId(parts.Special.Eos);
        PadId = RoleId(parts.Special.Pad);
        UnkId = RoleId(parts.Special.Unk);
    }

    /// <summary>One more than the highest token id: the least number of embedding rows a model needs.</summary>
    public int VocabularySize { get; }

    /// <summary>The id that a token gets which is added now.</summary>
    public int NextId => Math.Max(_parts.Vocabulary.Count, _parts.Added.Tokens.Select(token => token.Id + 1).DefaultIfEmpty().Max());

    /// <summary>Begin-of-sequence id, where the model names such a token.</summary>
    public int? BosId { get; }

    /// <summary>End-of-sequence id, where the model names such a token.</summary>
    public int? EosId { get; }

    /// <summary>Padding id, where the model names such a token.</summary>
    public int? PadId { get; }

    /// <summary>Id of the unknown token, where the model names one.</summary>
    public int? UnkId { get; }

    /// <summary>Text of the begin-of-sequence token.</summary>
    public string? BosToken => _parts.Special.Bos;

    /// <summary>Text of the end-of-sequence token.</summary>
    public string? EosToken => _parts.Special.Eos;

    /// <summary>Hexadecimal SHA-256 over the names and bytes of the files this tokenizer was read from.</summary>
    public string ContentHash => _parts.ContentHash;

    /// <summary>Reads the tokenizer of a model folder.</summary>
    /// <param name="directory">A folder with tokenizer.json (or tokenizer.model), and beside it tokenizer_config.json, special_tokens_map.json and
    /// added_tokens.json where there are such.</param>
    /// <exception cref="TokenizerException">A file is missing, damaged, contradicts itself, or needs a part that is not supported.</exception>
    public static HfTokenizer Load(string directory)
    {
        ArgumentException.ThrowIfNullOrEmpty(directory);
        return new HfTokenizer(TokenizerFolder.Read(directory));
    }

    /// <summary>Builds a tokenizer from the bytes of a tokenizer.json.</summary>
    internal static HfTokenizer FromJson(byte[] bytes, string name, byte[]? config = null) => new(TokenizerFolder.Read(
        JsonFile.Parse(bytes, name), new FilesBeside(config is null ? null : JsonFile.Parse(config, "tokenizer_config.json"), null, null), ""));

    /// <summary>Encodes a text. Lone surrogates count as U+FFFD.</summary>
    /// <param name="text">The text; its added tokens (such as <c>&lt;|im_end|&gt;</c>) become their ids.</param>
    /// <param name="addSpecialTokens">Whether the template's tokens (BOS, EOS) are put around it; chat texts already hold theirs, so false there.</param>
    /// <returns>Ids, and the range of UTF-16 characters of <paramref name="text"/> behind each.</returns>
    /// <exception cref="TokenizerException">The vocabulary cannot express the text, or a pattern takes too long on it.</exception>
    public Encoding Encode(string text, bool addSpecialTokens)
    {
        ArgumentNullException.ThrowIfNull(text);
        text = Transformation.WellFormed(text);
        var pieces = _parts.Added.Extract(text);
        if (_parts.PreTokenizer is { } preTokenizer && pieces.Pieces.Count > 0)
            pieces = preTokenizer.Apply(pieces);
        var sink = new TokenSink();
        _parts.Model.Encode(pieces, sink);
        return _parts.PostProcessor is null ? sink.ToEncoding() : sink.Finish(_parts.PostProcessor, text, addSpecialTokens);
    }

    /// <summary>Turns ids back into text; ids that no token has are left out.</summary>
    /// <param name="ids">Token ids.</param>
    /// <param name="skipSpecialTokens">Whether special tokens are left out.</param>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens)
    {
        var tokens = new List<string>(ids.Length);
        foreach (var id in ids)
        {
            var token = _parts.Added.DecodedTextOf(id) ?? _parts.Vocabulary.TokenOf(id);
            if (token is not null && !(skipSpecialTokens && _parts.Added.IsSpecialText(token)))
                tokens.Add(token);
        }
        return _parts.Decoder is null ? string.Join(' ', tokens) : string.Concat(_parts.Decoder.Apply(tokens));
    }

    /// <summary>Id of a token's exact text, or null.</summary>
    /// <param name="token">Text as the vocabulary spells it ("Ġthe", "&lt;|eot_id|&gt;").</param>
    public int? IdOf(string token) => _parts.Added.IdOf(token) ?? _parts.Vocabulary.IdOf(token);

    /// <summary>Text of a token as the vocabulary spells it, or null.</summary>
    /// <param name="id">Token id.</param>
    public string? TokenOf(int id) => _parts.Added.ContentOf(id) ?? _parts.Vocabulary.TokenOf(id);

    /// <summary>Whether an id is a special token: one that decoding can leave out.</summary>
    /// <param name="id">Token id.</param>
    public bool IsSpecial(int id) => _parts.Added.IsSpecial(id);

    internal bool IsIncremental => _parts.Decoder?.IsIncremental ?? true;

    internal bool IsByteToken(int id) => _parts.Vocabulary.TokenOf(id) is { Length: 6 } token && token.StartsWith("<0x", StringComparison.Ordinal)
        && !_parts.Added.Contains(id);

    private int? RoleId(string? token) => token is null ? null : IdOf(token);
}
