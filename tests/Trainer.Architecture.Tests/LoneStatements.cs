using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Trainer.Architecture.Tests;

/// <summary>Finds braces around one short statement: one way to write a branch, and files are shorter by it.</summary>
internal static class LoneStatements
{
    /// <summary>Lines, counted from 1, at which braces hold one statement of one line below a condition of one line, and no comment.</summary>
    /// <param name="text">Source text.</param>
    public static IEnumerable<int> Find(string text)
    {
        var root = CSharpSyntaxTree.ParseText(text, new CSharpParseOptions(LanguageVersion.Preview)).GetRoot();
        foreach (var block in root.DescendantNodes().OfType<BlockSyntax>())
        {
            if (block.Statements.Count != 1 || block.Parent is not (IfStatementSyntax or ElseClauseSyntax or CommonForEachStatementSyntax or ForStatementSyntax
                or WhileStatementSyntax)) continue;
            if (block.Statements[0] is not (ExpressionStatementSyntax or ReturnStatementSyntax or ThrowStatementSyntax or ContinueStatementSyntax
                or BreakStatementSyntax or YieldStatementSyntax)) continue;
            var (open, close) = (Line(block.OpenBraceToken), Line(block.CloseBraceToken));
            if (close - open != 2 || Line(Head(block.Parent)) != open - 1) continue;
            if (block.DescendantTrivia().Any(static trivia => trivia.IsKind(SyntaxKind.SingleLineCommentTrivia))) continue;
            yield return open + 1;
        }

        static int Line(SyntaxToken token) => token.GetLocation().GetLineSpan().StartLinePosition.Line;

        // An "else if" begins with its else, which stands on the same line.
        static SyntaxToken Head(SyntaxNode parent) => parent.GetFirstToken();
    }
}
