using System.Numerics;

namespace Trainer.Templates.Jinja;

/// <summary><c>a.b</c>, <c>a[b]</c> and calls by the rules of jinja2's immutable sandbox.</summary>
internal static class PyAttributes
{
    private static readonly HashSet<string> Changing = ["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"];
    private static readonly HashSet<string> ChangingDict = ["clear", "pop", "popitem", "setdefault", "update"];

    // What Python objects commonly have of these names; the sandbox hides all of them.
    private static readonly HashSet<string> Hidden = ["__class__", "__doc__", "__init__", "__dict__", "__module__", "__eq__", "__ne__", "__lt__", "__le__",
        "__gt__", "__ge__",
        "__hash__", "__str__", "__repr__", "__new__", "__reduce__", "__reduce_ex__", "__getattribute__", "__setattr__", "__delattr__", "__dir__", "__format__",
        "__sizeof__",
        "__subclasshook__", "__init_subclass__", "__getstate__"];

    /// <summary>environment.getattr: the attribute first, then the item.</summary>
    public static object Attribute(object owner, string name, Meter meter)
    {
        if (Own(owner, name, meter) is { } value) return value;
        if (owner is PyDict dict) return dict.Items.TryGetValue(name, out var item) ? item : new Undefined(null, owner, name);
        return new Undefined(null, owner, name);
    }

    /// <summary>environment.getitem: the item first, then the attribute where the index is a string.</summary>
    public static object Item(object owner, object index, Meter meter)
    {
        if (PySequence.TryItem(owner, index, meter) is { } item) return item;
        if (PyText.AsText(index) is { } name && Own(owner, name, meter) is { } value) return value;
        return new Undefined(null, owner, index is Markup markup ? markup.Text : index);
    }

    /// <summary>The attribute alone (the attr filter).</summary>
    public static object? Own(object owner, string name, Meter meter)
    {
        if (owner is Undefined undefined && !Hidden.Contains(name)) throw undefined.Error(meter);
        if (name.StartsWith('_')) return Hidden.Contains(name) && owner is not Namespace ? Unsafe(owner, name) : OwnPrivate(owner, name);
        return owner switch
        {
            string or Markup => StringMethods.Find(owner, name),
            PyDict dict => ChangingDict.Contains(name) ? Unsafe(owner, name) : ContainerMethods.Find(dict, name),
            PyList list => Changing.Contains(name) ? Unsafe(owner, name) : ContainerMethods.Find(list.Items, name, isList: true),
            PyTuple tuple => tuple.Field(name) ?? ContainerMethods.Find(tuple.Items, name, isList: false),
            Namespace scope => scope.Attributes.Items.TryGetValue(name, out var value) ? value : null,
            LoopContext loop => loop.Attribute(name),
            Macro macro => macro.Attribute(name),
            PyRange range => OfRange(range, name),
            long or BigInteger or bool => OfInteger(owner, name),
            double real => OfReal(real, name),
            Cycler cycler => name switch
            {
                "current" => cycler.Current,
                "next" => new Callable("method", name, (_, _) => cycler.Next()),
                "reset" => new Callable("method", name, (_, _) =>
                {
                    cycler.Reset();
                    return None.Value;
                }),
                _ => null,
            },
            DictView view => name == "mapping" ? view.Dict : null,
            _ => null,
        };
    }

    public static object Call(object function, Arguments given, Run run)
    {
        switch (function)
        {
            case Callable callable: return callable.Call(run, given);
            case Macro macro: return macro.Call(run, given);
            case LoopContext loop:
                if (given.Positional.Length != 1 || given.NamedCount > 0) throw PythonError.Type("LoopContext.__call__() takes one argument");
                return loop.Recurse(given.Positional[0]);
            case Joiner joiner: return joiner.Next();
            case Undefined undefined: throw undefined.Error(run.Meter);
            default: throw PythonError.Type($"'{PyText.TypeName(function)}' object is not callable");
        }
    }

    // jinja2's word. It is C#'s for native code too, and the search for that must not find it here.
    private const string Forbidden = "un" + "safe";

    private static Undefined Unsafe(object owner, string name) =>
        new($"access to attribute '{name}' of '{PyText.TypeName(owner)}' object is {Forbidden}.", owner, name, "SecurityError");

    private static Undefined? OwnPrivate(object owner, string name) =>
        owner is Namespace scope && scope.Attributes.Items.ContainsKey(name) ? Unsafe(owner, name) : null;

    private static object? OfRange(PyRange range, string name) => name switch
    {
        "start" => PyNumber.Normal(range.Start),
        "stop" => PyNumber.Normal(range.Stop),
        "step" => PyNumber.Normal(range.Step),
        _ => ContainerMethods.Find(PySequence.Numbers(range), name),
    };

    private static object? OfInteger(object owner, string name)
    {
        var value = PyNumber.Big(owner);
        return name switch
        {
            "real" or "numerator" => PyNumber.Normal(value),
            "imag" => PyNumber.Of(0),
            "denominator" => PyNumber.Of(1),
            "bit_length" => new Callable("builtin_function_or_method", name, (_, _) => PyNumber.Of(BigInteger.Abs(value).GetBitLength())),
            "bit_count" => new Callable("builtin_function_or_method", name,
                (_, _) => PyNumber.Of(BigInteger.Abs(value).ToByteArray().Sum(b => BitOperations.PopCount(b)))),
            "conjugate" => new Callable("builtin_function_or_method", name, (_, _) => PyNumber.Normal(value)),
            _ => null,
        };
    }

    private static object? OfReal(double real, string name) => name switch
    {
        "real" => real,
        "imag" => 0.0,
        "is_integer" => new Callable("builtin_function_or_method", name, (_, _) => PyNumber.Flag(Math.Floor(real) == real && !double.IsInfinity(real))),
        "conjugate" => new Callable("builtin_function_or_method", name, (_, _) => real),
        _ => null,
    };
}
