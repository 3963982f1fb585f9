using Trainer.Tokenizers.Decoders;
using Trainer.Tokenizers.Normalizers;
using Trainer.Tokenizers.Patterns;
using Trainer.Tokenizers.PreTokenizers;

namespace Trainer.Tokenizers.Files;

/// <summary>Builds normalizers, pre-tokenizers and decoders from a tokenizer.json; what is not known is refused by name.</summary>
internal static class ComponentReader
{
    public static INormalizer? Normalizer(JsonSection section)
    {
        if (section.IsNull)
            return null;
        return section.Type() switch
        {
            "Sequence" =>
                new NormalizerSequence([.. section.Member("normalizers").Items()
                .Select(item => Normalizer(item) ?? throw item.Fault("a normalizer was expected"))]),
            "NFC" => new UnicodeNormalizer(true, false),
            "NFD" => new UnicodeNormalizer(false, false),
            "NFKC" => new UnicodeNormalizer(true, true),
            "NFKD" => new UnicodeNormalizer(false, true),
            "Prepend" => new Prepend(section.Member("prepend").Text()),
            "Replace" => new Replace(Pattern(section), section.Member("content").Text()),
            "Lowercase" => LetterNormalizer.Lowercase,
            "StripAccents" => LetterNormalizer.StripAccents,
            "Nmt" => LetterNormalizer.Nmt,
            "Strip" => new Strip(section.Member("strip_left").Flag(true), section.Member("strip_right").Flag(true)),
            "ByteLevel" => new ByteLevelNormalizer(),
            "Precompiled" => PrecompiledMap(section.Member("precompiled_charsmap")),
            var type => throw Unknown(section, "normalizer", type),
        };
    }

    public static IPreTokenizer? PreTokenizer(JsonSection section)
    {
        if (section.IsNull)
            return null;
        return section.Type() switch
        {
            "Sequence" =>
                new PreTokenizerSequence([.. section.Member("pretokenizers").Items()
                .Select(item => PreTokenizer(item) ?? throw item.Fault("a pre-tokenizer was expected"))]),
            "ByteLevel" => new ByteLevel(section.Member("add_prefix_space").Flag(true), section.Member("use_regex").Flag(true)),
            "Split" => new Splitter(Pattern(section), Behavior(section.Member("behavior"), null), section.Member("invert").Flag(false)),
            "Metaspace" => new Metaspace(Letter(section.Member("replacement"), "▁"), Scheme(section), section.Member("split").Flag(true)),
            "Digits" => new Splitter(new LetterMatcher(CharacterSets.IsNumeric),
                section.Member("individual_digits").Flag(false) ? SplitBehavior.Isolated : SplitBehavior.Contiguous),
            "Punctuation" => new Splitter(new LetterMatcher(CharacterSets.IsPunctuation), Behavior(section.Member("behavior"), SplitBehavior.Isolated)),
            "Whitespace" => new Splitter(new WordMatcher(), SplitBehavior.Removed, true),
            "WhitespaceSplit" => new Splitter(new LetterMatcher(CharacterSets.IsWhiteSpace), SplitBehavior.Removed),
            "BertPreTokenizer" => new PreTokenizerSequence(
                [new Splitter(new LetterMatcher(CharacterSets.IsWhiteSpace), SplitBehavior.Removed),
                new Splitter(new LetterMatcher(CharacterSets.IsPunctuation), SplitBehavior.Isolated)]),
            "CharDelimiterSplit" => new Splitter(new LiteralMatcher(Letter(section.Member("delimiter"), null)), SplitBehavior.Removed),
            "FixedLength" => new Splitter(new FixedLength(FixedLength(section.Member("length"))), SplitBehavior.Isolated),
            var type => throw Unknown(section, "pre-tokenizer", type),
        };
    }

    public static IDecoder? Decoder(JsonSection section)
    {
        if (section.IsNull)
            return null;
        return section.Type() switch
        {
            "Sequence" =>
                new DecoderSequence([.. section.Member("decoders").Items().Select(item => Decoder(item) ?? throw item.Fault("a decoder was expected"))]),
            "ByteLevel" => new ByteLevelDecoder(),
            "ByteFallback" => new ByteFallbackDecoder(),
            "Fuse" => new FuseDecoder(),
            "Replace" => new ReplaceDecoder(Pattern(section), section.Member("content").Text()),
            "Strip" => new StripDecoder(Letter(section.Member("content"), null), section.Member("start").Number(), section.Member("stop").Number()),
            "Metaspace" => new MetaspaceDecoder(Letter(section.Member("replacement"), "▁"), Scheme(section)),
            "BPEDecoder" => new SuffixDecoder(section.Member("suffix").TextOrNull() ?? "</w>"),
            var type => throw Unknown(section, "decoder", type),
        };
    }

    /// <summary>The fault of a component that is not followed.</summary>
    public static TokenizerException Unknown(JsonSection section, string kind, string type) =>
        section.Fault($"the {kind} '{type}' is not supported", "use a tokenizer made of other parts");

    private static Precompiled PrecompiledMap(JsonSection section)
    {
        try
        {
            if (CharacterMap.Read(Convert.FromBase64String(section.Text())) is { } map)
                return new Precompiled(map);
        }
        catch (FormatException)
        {
        }
        throw section.Fault("a character map of SentencePiece in base 64 was expected");
    }

    private static int FixedLength(JsonSection section)
    {
        var length = section.IsNull ? 5 : section.Number();
        return length > 0 ? length : throw section.Fault("the length must be at least 1");
    }

    private static IMatcher Pattern(JsonSection section)
    {
        var pattern = section.Member("pattern");
        var literal = pattern.Member("String");
        if (!literal.IsNull)
        {
            var text = literal.Text();
            return text.Length == 0 ? new PatternMatcher("") : new LiteralMatcher(text);
        }
        var regex = pattern.Member("Regex");
        try
        {
            return KnownPatterns.Matcher(regex.Text());
        }
        catch (TokenizerException fault) when (!fault.Message.StartsWith("tokenizer file", StringComparison.Ordinal))
        {
            throw new TokenizerException($"tokenizer file '{section.File}' ({regex.Path}): {fault.Message}", fault);
        }
    }

    private static SplitBehavior Behavior(JsonSection section, SplitBehavior? absent)
    {
        if (section.IsNull && absent is { } behavior)
            return behavior;
        return section.Text() switch
        {
            "Removed" => SplitBehavior.Removed,
            "Isolated" => SplitBehavior.Isolated,
            "MergedWithPrevious" => SplitBehavior.MergedWithPrevious,
            "MergedWithNext" => SplitBehavior.MergedWithNext,
            "Contiguous" => SplitBehavior.Contiguous,
            var name => throw section.Fault($"the split behavior '{name}' is not known"),
        };
    }

    private static PrependScheme Scheme(JsonSection section)
    {
        var prefix = section.Member("add_prefix_space");
        var scheme = section.Member("prepend_scheme");
        var named = scheme.TextOrNull() switch
        {
            null or "always" => PrependScheme.Always,
            "first" => PrependScheme.First,
            "never" => PrependScheme.Never,
            var name => throw scheme.Fault($"the scheme '{name}' is not known"),
        };
        if (prefix.Flag(true) || named == PrependScheme.Never)
            return named;
        return scheme.IsNull ? throw prefix.Fault("add_prefix_space is false without a prepend_scheme", "write \"prepend_scheme\": \"never\"")
            : throw prefix.Fault("add_prefix_space contradicts prepend_scheme");
    }

    private static string Letter(JsonSection section, string? absent)
    {
        if (section.IsNull && absent is not null)
            return absent;
        var text = section.Text();
        return text.Length == 1 || (text.Length == 2 && char.IsSurrogatePair(text, 0)) ? text : throw section.Fault("exactly one letter was expected");
    }
}
