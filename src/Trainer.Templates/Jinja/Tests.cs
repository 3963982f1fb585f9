using System.Numerics;

namespace Trainer.Templates.Jinja;

internal delegate object Test(Run run, object value, Arguments given);

/// <summary>The tests behind <c>is</c>.</summary>
internal static class Tests
{
    private static readonly Dictionary<string, Test> Table = new()
    {
        ["odd"] = (run, value, _) => IsRest(run, value, 1),
        ["even"] = (run, value, _) => IsRest(run, value, 0),
        ["divisibleby"] = (run, value, given) =>
            PyNumber.Flag(PyCompare.Equal(PyArithmetic.Apply("%", value, new Binding("test_divisibleby", given, 1, "num")[0]!, run), PyNumber.Of(0),
            run.Meter)),
        ["defined"] = (_, value, _) => PyNumber.Flag(value is not Undefined),
        ["undefined"] = (_, value, _) => PyNumber.Flag(value is Undefined),
        ["filter"] = (run, value, _) => PyNumber.Flag(run.Meter.Keys.GetHashCode(value) is var _ && PyText.AsText(value) is { } name && Filters.Knows(name)),
        ["test"] = (run, value, _) => PyNumber.Flag(run.Meter.Keys.GetHashCode(value) is var _ && PyText.AsText(value) is { } name && Knows(name)),
        ["none"] = (_, value, _) => PyNumber.Flag(value is None),
        ["boolean"] = (_, value, _) => PyNumber.Flag(value is bool),
        ["true"] = (_, value, _) => PyNumber.Flag(value is true),
        ["false"] = (_, value, _) => PyNumber.Flag(value is false),
        ["integer"] = (_, value, _) => PyNumber.Flag(value is long or BigInteger),
        ["float"] = (_, value, _) => PyNumber.Flag(value is double),
        ["number"] = (_, value, _) => PyNumber.Flag(PyNumber.IsNumber(value)),
        ["string"] = (_, value, _) => PyNumber.Flag(value is string or Markup),
        ["lower"] = (run, value, _) => PyNumber.Flag(StringMethods.IsCase(PyText.Str(value, run.Meter), upper: false)),
        ["upper"] = (run, value, _) => PyNumber.Flag(StringMethods.IsCase(PyText.Str(value, run.Meter), upper: true)),
        ["mapping"] = (_, value, _) => PyNumber.Flag(value is PyDict),
        ["sequence"] = (_, value, _) => PyNumber.Flag(value is string or Markup or PyList or PyTuple or PyDict or PyRange or Undefined),
        ["iterable"] = (_, value, _) => PyNumber.Flag(
            value is string or Markup or PyList or PyTuple or PyDict or PyRange or Undefined or Generator or DictView or LoopContext),
        ["callable"] = (_, value, _) => PyNumber.Flag(value is Callable or Macro or LoopContext or Joiner or Undefined),
        ["sameas"] = (_, value, given) => PyNumber.Flag(IsSame(value, new Binding("test_sameas", given, 1, "other")[0]!)),
        ["escaped"] = (_, value, _) => PyNumber.Flag(value is Markup),
        ["in"] = (run, value, given) => PyNumber.Flag(PyCompare.Contains(new Binding("test_in", given, 1, "seq")[0]!, value, run.Meter)),
    };

    private static readonly string[] Bare = ["odd", "even", "defined", "undefined", "filter", "test", "none", "boolean", "true", "false", "integer", "float",
        "number", "string", "lower", "upper", "mapping", "sequence", "iterable", "callable", "escaped"];

    static Tests()
    {
        foreach (var name in Bare)
        {
            var test = Table[name];
            Table[name] = (run, value, given) => given.Positional.Length + given.NamedCount == 0 ? test(run, value, given)
                : throw PythonError.Type($"test_{name}() takes 1 positional argument but {given.Positional.Length + given.NamedCount + 1} were given");
        }
        foreach (var name in new[] { "==", "eq", "equalto" })
            Table[name] = (run, value, given) => PyNumber.Flag(PyCompare.Equal(value, Other(given), run.Meter));
        foreach (var name in new[] { "!=", "ne" }) Table[name] = (run, value, given) => PyNumber.Flag(!PyCompare.Equal(value, Other(given), run.Meter));
        foreach (var (sign, names) in new[] { (">", "> gt greaterthan"), (">=", ">= ge"), ("<", "< lt lessthan"), ("<=", "<= le") })
            foreach (var name in names.Split(' ')) Table[name] = (run, value, given) => PyNumber.Flag(PyCompare.Order(sign, value, Other(given), run.Meter));
    }

    public static Test? Find(string name) => Table.GetValueOrDefault(name);

    public static bool Knows(string name) => Table.ContainsKey(name);

    private static object Other(Arguments given) => given.Positional.Length == 1 && given.NamedCount == 0
        ? given.Positional[0] : throw PythonError.Type($"expected 2 arguments, got {given.Positional.Length + given.NamedCount + 1}");

    private static object IsRest(Run run, object value, long rest) =>
        PyNumber.Flag(PyCompare.Equal(PyArithmetic.Apply("%", value, PyNumber.Of(2), run), PyNumber.Of(rest), run.Meter));

    private static bool IsSame(object left, object right) => ReferenceEquals(left, right)
        || (left is bool a && right is bool b && a == b) || (left is long m && right is long n && m == n && m is >= -5 and <= 256)
        || (left is string s && right is string t && s == t && s.Length <= 1);
}
