namespace Trainer.Templates.Jinja;

/// <summary>A fault of a template with Python's name and wording; the render's edge turns it into a <see cref="TemplateException"/>.</summary>
internal sealed class PythonError(string kind, string message, int line = 0) : Exception(message)
{
    public string Kind { get; } = kind;

    /// <summary>One-based line of the template, or 0 where it is not known yet.</summary>
    public int Line { get; set; } = line;

    public static PythonError Type(string message) => new("TypeError", message);

    public static PythonError Value(string message) => new("ValueError", message);

    public static PythonError Syntax(string message, int line) => new("TemplateSyntaxError", message, line);

    public static PythonError Limit(string message) => new("LimitError", message);
}
