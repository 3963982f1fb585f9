using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Trainer.Architecture.Tests;

/// <summary>Which file of a project uses a type that another one declares, by names: members that are called like a type are not told apart from it.</summary>
internal sealed class SourceGraph
{
    private readonly string _project;
    private readonly Dictionary<string, List<string>> _uses = new(StringComparer.Ordinal);

    public SourceGraph(string project)
    {
        _project = project;
        var roots = Directory.EnumerateFiles(project, "*.cs", SearchOption.AllDirectories)
            .Where(static path => !path.Contains("/obj/", StringComparison.Ordinal) && !path.Contains("/bin/", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)
            .ToDictionary(path => path, path => CSharpSyntaxTree.ParseText(File.ReadAllText(path), new CSharpParseOptions(LanguageVersion.Preview)).GetRoot());
        var declaring = roots.SelectMany(pair => Types(pair.Value).Select(name => (Name: name, Path: pair.Key))).ToLookup(pair => pair.Name, pair => pair.Path);
        foreach (var (path, root) in roots)
            _uses[path] = [.. Names(root).SelectMany(name => declaring[name]).Where(other => other != path).Distinct(StringComparer.Ordinal)];
    }

    /// <summary>Sets of files in which each reaches each other, over two folders or more.</summary>
    public IEnumerable<string> CyclesOverFolders() => Components()
        .Where(files => files.Select(Path.GetDirectoryName).Distinct().Count() > 1)
        .Select(
            files =>
                $"{Path.GetFileName(_project)}: {string.Join(", ", files.Select(file => Path.GetRelativePath(_project, file)).Order(StringComparer.Ordinal))}");

    private static IEnumerable<string> Types(SyntaxNode root) =>
        root.DescendantNodes(static node => node is CompilationUnitSyntax or BaseNamespaceDeclarationSyntax).Select(static node => node switch
        {
            BaseTypeDeclarationSyntax type => type.Identifier.ValueText,
            DelegateDeclarationSyntax type => type.Identifier.ValueText,
            _ => null,
        }).OfType<string>();

    // Members of something else, named arguments and members that an initializer sets are no types.
    private static IEnumerable<string> Names(SyntaxNode root) => root.DescendantNodes().OfType<SimpleNameSyntax>()
        .Where(static name => name.Parent is not MemberAccessExpressionSyntax access || access.Expression == name)
        .Where(static name => name.Parent is not (NameColonSyntax or NameEqualsSyntax))
        .Where(static name => name.Parent is not AssignmentExpressionSyntax { Parent: InitializerExpressionSyntax } set || set.Left != name)
        .Select(static name => name.Identifier.ValueText)
        .Distinct(StringComparer.Ordinal);

    // Tarjan's algorithm.
    private List<List<string>> Components()
    {
        var (index, low, open, stack, found) = (new Dictionary<string, int>(), new Dictionary<string, int>(), new HashSet<string>(), new Stack<string>(),
            new List<List<string>>());
        foreach (var file in _uses.Keys)
            if (!index.ContainsKey(file)) Visit(file);
        return found;

        void Visit(string file)
        {
            index[file] = low[file] = index.Count;
            stack.Push(file);
            open.Add(file);
            foreach (var other in _uses[file])
            {
                var isKnown = index.TryGetValue(other, out var known);
                if (!isKnown) Visit(other);
                if (!isKnown || open.Contains(other)) low[file] = Math.Min(low[file], isKnown ? known : low[other]);
            }
            if (low[file] != index[file]) return;
            var component = new List<string>();
            do
            {
                component.Add(stack.Pop());
                open.Remove(component[^1]);
            }
            while (component[^1] != file);
            found.Add(component);
        }
    }
}
