using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Text;

namespace Trainer.Architecture.Tests;

/// <summary>Lines wider than the house allows.</summary>
internal static class LongLines
{
    /// <summary>The last column.</summary>
    public const int Widest = 160;

    /// <summary>One-based numbers of the lines that are too wide; a raw or verbatim string excuses its own.</summary>
    public static List<int> In(string text)
    {
        if (!text.Split('\n').Any(static line => line.Length > Widest)) return [];
        var root = CSharpSyntaxTree.ParseText(text, new CSharpParseOptions(LanguageVersion.Preview)).GetRoot();
        var lines = SourceText.From(text).Lines;
        var excused = root.DescendantTokens().Where(IsUncut)
            .SelectMany(token => Enumerable.Range(lines.IndexOf(token.SpanStart), 1 + lines.IndexOf(token.Span.End) - lines.IndexOf(token.SpanStart)))
            .ToHashSet();
        return [.. lines.Where(line => line.Span.Length > Widest && !excused.Contains(line.LineNumber)).Select(static line => line.LineNumber + 1)];
    }

    private static bool IsUncut(SyntaxToken token) => token.Kind() switch
    {
        SyntaxKind.SingleLineRawStringLiteralToken or SyntaxKind.MultiLineRawStringLiteralToken => true,
        SyntaxKind.StringLiteralToken => token.Text.StartsWith('@'),
        SyntaxKind.InterpolatedStringTextToken => token.Parent?.Parent is { } whole
            && (whole.GetFirstToken().Text.Contains('@', StringComparison.Ordinal) || whole.GetFirstToken().Text.Contains("\"\"\"", StringComparison.Ordinal)),
        _ => false,
    };
}
