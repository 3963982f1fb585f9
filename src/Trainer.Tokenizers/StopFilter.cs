namespace Trainer.Tokenizers;

/// <summary>Passes a text on as it comes and ends it before the first stop string; what may become one is held back until that is known.</summary>
/// <remarks>Half of a surrogate pair is held back too: written out alone it would become a replacement character.</remarks>
/// <param name="stops">The stop strings, none of them empty; compared by ordinal.</param>
public sealed class StopFilter(IReadOnlyList<string> stops)
{
    private string _held = "";

    /// <summary>Whether a stop string came; nothing more is passed on.</summary>
    public bool HasStopped { get; private set; }

    /// <summary>Adds text.</summary>
    /// <param name="text">The next part.</param>
    /// <returns>What is now certain to be before any stop string.</returns>
    public string Add(string text)
    {
        if (HasStopped) return "";
        _held += text;
        var stop = stops.Select(word => _held.IndexOf(word, StringComparison.Ordinal)).Where(at => at >= 0).DefaultIfEmpty(-1).Min();
        HasStopped = stop >= 0;
        return Release(HasStopped ? stop : CertainLength());
    }

    /// <summary>Ends the text.</summary>
    /// <returns>What was held back.</returns>
    public string Flush() => HasStopped ? "" : Release(_held.Length);

    private string Release(int length)
    {
        var released = _held[..length];
        _held = HasStopped ? "" : _held[length..];
        return released;
    }

    private int CertainLength()
    {
        for (var at = 0; at < _held.Length; at++)
            if (stops.Any(word => word.StartsWith(_held[at..], StringComparison.Ordinal))) return at;
        return _held.Length > 0 && char.IsHighSurrogate(_held[^1]) ? _held.Length - 1 : _held.Length;
    }
}
