namespace Trainer.Data.Conversations;

/// <summary>Reasoning that stands in front of an answer in its text, between <c>&lt;think&gt;</c> and <c>&lt;/think&gt;</c>.</summary>
internal static class ThinkText
{
    private const string Open = "<think>", Close = "</think>";

    /// <summary>Parts the two, or gives null where the text holds no reasoning. The opening may be missing: some prompts end with it, and their answers begin
    /// behind it.</summary>
    public static (string Reasoning, string Answer)? Split(string text)
    {
        var close = text.IndexOf(Close, StringComparison.Ordinal);
        if (close < 0) return null;
        var thought = text.AsSpan(0, close).TrimStart();
        if (thought.StartsWith(Open, StringComparison.Ordinal)) thought = thought[Open.Length..];
        else if (thought.IndexOf(Open, StringComparison.Ordinal) >= 0) return null; // words before it: it is quoted, not thought
        return (thought.Trim('\n').ToString(), text[(close + Close.Length)..].TrimStart('\n'));
    }

    /// <summary>Whether a text begins with the opening mark.</summary>
    public static bool Opens(string text) => text.AsSpan().TrimStart().StartsWith(Open, StringComparison.Ordinal);

    /// <summary>A text that holds both with others in their place, and all between and around them letter for letter.</summary>
    public static string With(string text, string reasoning, string answer)
    {
        if (Split(text) is not { } parts) return text;
        var close = text.IndexOf(Close, StringComparison.Ordinal);
        var begin = text.AsSpan(0, close).TrimEnd('\n').Length - parts.Reasoning.Length;
        return string.Concat(text.AsSpan(0, begin), reasoning, text.AsSpan(begin + parts.Reasoning.Length,
            text.Length - parts.Answer.Length - begin - parts.Reasoning.Length), answer);
    }

    /// <summary>The two in one text, as DeepSeek-R1, QwQ and Qwen3 write them.</summary>
    public static string Join(string reasoning, string answer) => $"{Open}\n{reasoning}\n{Close}\n\n{answer}";
}
