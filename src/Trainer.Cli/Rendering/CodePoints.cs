namespace Trainer.Cli.Rendering;

/// <summary>Characters as Python and JSON readers elsewhere count them: code points, not UTF-16 units.</summary>
internal static class CodePoints
{
    /// <summary>For each UTF-16 position, the code points before it; one entry more than the text has units.</summary>
    public static int[] Before(string text)
    {
        var before = new int[text.Length + 1];
        for (var i = 0; i < text.Length; i++)
        {
            var isSecondHalf = char.IsLowSurrogate(text[i]) && i > 0 && char.IsHighSurrogate(text[i - 1]);
            before[i + 1] = before[i] + (isSecondHalf ? 0 : 1);
        }
        return before;
    }
}
