namespace Trainer.Tokenizers;

/// <summary>
/// Decodes ids as they come, and gives text out only once later ids cannot change it: no half letters, and all parts joined are what
/// <see cref="HfTokenizer.Decode(ReadOnlySpan{int}, bool)"/> gives for all ids. Not for several threads.
/// </summary>
/// <param name="tokenizer">Whose ids these are.</param>
/// <param name="skipSpecialTokens">Whether special tokens are left out.</param>
public sealed class StreamDecoder(HfTokenizer tokenizer, bool skipSpecialTokens)
{
    // The ids given out last stay as context: a decoder may treat the first token of a text otherwise.
    private readonly List<int> _window = [];
    private string _context = "";
    private int _contextCount;

    /// <summary>Whether ids were added whose text is not given out yet.</summary>
    public bool IsWaiting => _window.Count > _contextCount;

    // A decoder looks back a few tokens at most; one that reads the whole text gets the whole text.
    private const int PrimeTokens = 64;

    /// <summary>Begins behind a prompt: its ids are context, and nothing of them is ever given out, held back as it may be.</summary>
    /// <param name="prompt">The ids before the first one that is added.</param>
    public void Prime(IReadOnlyList<int> prompt)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        var first = tokenizer.IsIncremental ? Math.Max(0, prompt.Count - PrimeTokens) : 0;
        // A run of bytes is joined as a whole, so it is not cut.
        while (first > 0 && first < prompt.Count && tokenizer.IsByteToken(prompt[first])) first--;
        _window.Clear();
        for (var i = first; i < prompt.Count; i++) _window.Add(prompt[i]);
        (_contextCount, _context) = (_window.Count, Text());
    }

    /// <summary>Adds one id.</summary>
    /// <param name="id">The next id.</param>
    /// <returns>The text that is now certain; often empty while the bytes of a letter come in.</returns>
    public string Add(int id)
    {
        _window.Add(id);
        // Bytes are joined over a whole run, and one bad byte spoils the run.
        if (!tokenizer.IsIncremental || tokenizer.IsByteToken(id))
            return "";
        var text = Text();
        return text.EndsWith('\uFFFD') ? "" : Release(text);
    }

    /// <summary>Ends the stream.</summary>
    /// <returns>What was still held back.</returns>
    public string Flush()
    {
        var rest = Release(Text());
        _window.Clear();
        (_context, _contextCount) = ("", 0);
        return rest;
    }

    private string Text() => tokenizer.Decode(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_window), skipSpecialTokens);

    private string Release(string text)
    {
        // Half a letter at the end of a prompt shows as U+FFFD until the bytes that follow complete it.
        var known = text.AsSpan().CommonPrefixLength(_context);
        if (text.Length <= known || _context.AsSpan(known).ContainsAnyExcept('\uFFFD'))
            return "";
        var released = text[known..];
        _window.RemoveRange(0, _contextCount);
        _contextCount = _window.Count;
        _context = Text();
        return released;
    }
}
