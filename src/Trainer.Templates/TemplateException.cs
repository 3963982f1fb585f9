namespace Trainer.Templates;

/// <summary>
/// A chat template that cannot be read, or that refuses or fails to render a conversation.
/// <see cref="Exception.Message"/> is the finished sentence for the user.
/// </summary>
public sealed class TemplateException : Exception
{
    /// <summary>Makes the exception.</summary>
    /// <param name="message">The finished sentence: what, where, why, what to do.</param>
    /// <param name="kind">Python's name of the fault, for instance <c>TypeError</c>; <c>LimitError</c> where a limit of ours ended the render.</param>
    /// <param name="reason">The fault's own message, as Python words it.</param>
    /// <param name="inner">What caused it, or null.</param>
    /// <param name="line">The template's line, or 0.</param>
    public TemplateException(string message, string kind = "TemplateError", string? reason = null, Exception? inner = null, int line = 0)
        : base(message, inner)
    {
        Kind = kind;
        Line = line;
        Reason = reason ?? message;
    }

    /// <summary>Python's name of the fault: <c>TemplateError</c> (the template called <c>raise_exception</c>), <c>TypeError</c>, <c>UndefinedError</c> and so
    /// on.</summary>
    public string Kind { get; }

    /// <summary>The fault's own message, as Python words it.</summary>
    public string Reason { get; }

    /// <summary>The line of the template where it happened, or 0 where none is known.</summary>
    public int Line { get; }
}
