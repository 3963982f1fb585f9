namespace Trainer.Data.Chat;

/// <summary>How the assistant's words were found in a rendered conversation.</summary>
public enum SpanMethod
{
    /// <summary>No turn was looked for: all of the text is trained, or there is no assistant turn.</summary>
    None,
    /// <summary>The template marks them itself with generation blocks.</summary>
    Generation,
    /// <summary>The conversation up to a turn, with and without it, rendered as prefixes of the whole.</summary>
    Incremental,
    /// <summary>The turn's content was replaced by a unique word and found by it; the real content put back reproduced the text.</summary>
    Sentinel,
}
