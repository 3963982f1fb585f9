using Trainer.Tokenizers.Alignment;
using Trainer.Tokenizers.PostProcessors;

namespace Trainer.Tokenizers.Bpe;

/// <summary>Collects the tokens of a text with their ranges in the input.</summary>
internal sealed class TokenSink
{
    private int[] _ids = new int[256];
    private (int Start, int End)[] _offsets = new (int, int)[256];
    private readonly List<(int Index, string Text)> _found = [];

    public int Count { get; private set; }

    public void Add(int id, int start, int end)
    {
        if (Count == _ids.Length)
        {
            Array.Resize(ref _ids, Count * 2);
            Array.Resize(ref _offsets, Count * 2);
        }
        _ids[Count] = id;
        _offsets[Count++] = (start, end);
    }

    /// <summary>Adds an added token found in the text.</summary>
    public void AddFound(int id, AlignedText text, int begin, int end)
    {
        _found.Add((Count, new string(text.Slice(begin, end))));
        Add(id, text, begin, end);
    }

    /// <summary>Adds a token that covers the units from begin to end of a text.</summary>
    public void Add(int id, AlignedText text, int begin, int end) => Add(id, text.StartOf(begin), text.EndOf(end - 1));

    /// <summary>Runs the post-processor over the tokens.</summary>
    public Encoding Finish(IPostProcessor processor, string input, bool addSpecialTokens)
    {
        var tokens = new List<EncodedToken>(Count + 2);
        for (var i = 0; i < Count; i++)
            tokens.Add(new EncodedToken(_ids[i], _offsets[i].Start, _offsets[i].End));
        foreach (var (index, text) in _found)
            tokens[index] = tokens[index] with { Text = text };
        tokens = processor.Apply(tokens, input, addSpecialTokens);
        var (ids, offsets) = (new int[tokens.Count], new (int, int)[tokens.Count]);
        for (var i = 0; i < ids.Length; i++)
            (ids[i], offsets[i]) = (tokens[i].Id, (tokens[i].Start, tokens[i].End));
        return new Encoding(ids, offsets);
    }

    public Encoding ToEncoding() => new(_ids[..Count], _offsets[..Count]);
}
