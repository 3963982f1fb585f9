using System.Globalization;
using System.Numerics;
using System.Text;

namespace Trainer.Templates.Jinja;

/// <summary>str(), repr() and type names.</summary>
internal static class PyText
{
    /// <summary>The text of a str or Markup, null for anything else.</summary>
    public static string? AsText(object value) => value as string ?? (value as Markup)?.Text;

    public static string Str(object value, Meter meter) => value switch
    {
        string text => text,
        Markup markup => markup.Text,
        Undefined => "",
        _ => Repr(value, meter),
    };

    public static string Repr(object value, Meter meter)
    {
        switch (value)
        {
            case None: return "None";
            case bool flag: return flag ? "True" : "False";
            case long number: return number.ToString(CultureInfo.InvariantCulture);
            case BigInteger big: return PyNumber.IntText(big);
            case double real: return PyNumber.FloatText(real);
        }
        var text = new StringBuilder();
        Write(text, value, meter);
        return text.ToString();
    }

    private static void Write(StringBuilder to, object value, Meter meter)
    {
        meter.Step();
        switch (value)
        {
            case string text: WriteQuoted(to, text, meter); break;
            case Markup markup:
                to.Append("Markup(");
                WriteQuoted(to, markup.Text, meter);
                to.Append(')');
                break;
            case PyList list: WriteItems(to, '[', list.Items, ']', meter); break;
            case PyTuple tuple:
                to.Append('(');
                WriteJoined(to, tuple.Items, meter);
                to.Append(tuple.Items.Length == 1 ? ",)" : ")");
                break;
            case PyDict dict: WriteDict(to, dict, meter); break;
            case DictView view:
                to.Append(view.TypeName).Append('(');
                WriteItems(to, '[', view.Values(), ']', meter);
                to.Append(')');
                break;
            case PyRange range:
                to.Append("range(").Append(range.Start).Append(", ").Append(range.Stop);
                if (!range.Step.IsOne) to.Append(", ").Append(range.Step);
                to.Append(')');
                break;
            case Namespace scope:
                to.Append("<Namespace ");
                WriteDict(to, scope.Attributes, meter);
                to.Append('>');
                break;
            case Undefined: to.Append("Undefined"); break;
            case Macro macro: to.Append("<Macro ").Append(macro.Name is null ? "anonymous" : Repr(macro.Name, meter)).Append('>'); break;
            case LoopContext loop: to.Append("<LoopContext ").Append(loop.Index0 + 1).Append('/').Append(loop.Length).Append('>'); break;
            case None or bool or long or double or BigInteger: to.Append(Repr(value, meter)); break;
            default: to.Append('<').Append(TypeName(value)).Append(" object>"); break;
        }
    }

    private static void WriteItems(StringBuilder to, char open, IEnumerable<object> items, char close, Meter meter)
    {
        to.Append(open);
        WriteJoined(to, items, meter);
        to.Append(close);
    }

    private static void WriteJoined(StringBuilder to, IEnumerable<object> items, Meter meter)
    {
        var first = true;
        foreach (var item in items)
        {
            if (!first) to.Append(", ");
            first = false;
            Write(to, item, meter);
        }
    }

    private static void WriteDict(StringBuilder to, PyDict dict, Meter meter)
    {
        to.Append('{');
        var first = true;
        foreach (var pair in dict.Items)
        {
            if (!first) to.Append(", ");
            first = false;
            Write(to, pair.Key, meter);
            to.Append(": ");
            Write(to, pair.Value, meter);
        }
        to.Append('}');
    }

    private static void WriteQuoted(StringBuilder to, string text, Meter meter)
    {
        meter.Spend(text.Length);
        var quote = text.Contains('\'', StringComparison.Ordinal) && !text.Contains('"', StringComparison.Ordinal) ? '"' : '\'';
        to.Append(quote);
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            switch (c)
            {
                case '\\': to.Append("\\\\"); continue;
                case '\n': to.Append("\\n"); continue;
                case '\r': to.Append("\\r"); continue;
                case '\t': to.Append("\\t"); continue;
            }
            if (c == quote) to.Append('\\').Append(c);
            else if (c is >= ' ' and < '\x7f') to.Append(c);
            else if (char.IsHighSurrogate(c) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
            {
                var point = char.ConvertToUtf32(c, text[++i]);
                if (IsPrintable(CharUnicodeInfo.GetUnicodeCategory(point))) to.Append(c).Append(text[i]);
                else to.Append("\\U").Append(point.ToString("x8", CultureInfo.InvariantCulture));
            }
            else if (c > '\x7f' && IsPrintable(CharUnicodeInfo.GetUnicodeCategory(c))) to.Append(c);
            else if (c < 0x100) to.Append("\\x").Append(((int)c).ToString("x2", CultureInfo.InvariantCulture));
            else to.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture));
        }
        to.Append(quote);
    }

    public static bool IsPrintable(UnicodeCategory category) => category is not (UnicodeCategory.Control or UnicodeCategory.Format
        or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator);

    public static string TypeName(object value) => value switch
    {
        string => "str",
        None => "NoneType",
        bool => "bool",
        long or BigInteger => "int",
        double => "float",
        PyList => "list",
        PyDict => "dict",
        PyTuple => "tuple",
        PyRange => "range",
        Generator generator => generator.TypeName,
        DictView view => view.TypeName,
        Callable callable => callable.TypeName,
        PySlice => "slice",
        _ => value.GetType().Name,
    };

    /// <summary>jinja2's object_type_repr without " object".</summary>
    public static string QualifiedTypeName(object value) => value switch
    {
        Markup => "markupsafe.Markup",
        Namespace => "jinja2.utils.Namespace",
        Cycler => "jinja2.utils.Cycler",
        Joiner => "jinja2.utils.Joiner",
        Macro => "jinja2.runtime.Macro",
        LoopContext => "jinja2.runtime.LoopContext",
        _ => TypeName(value),
    };
}
