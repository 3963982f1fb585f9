using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;

namespace Trainer.Templates.Jinja;

/// <summary>json.dumps as transformers calls it for <c>tojson</c>, and JSON documents as Python values.</summary>
internal static class PyJson
{
    public static object FromJson(JsonElement element, Meter meter)
    {
        meter.Step();
        switch (element.ValueKind)
        {
            case JsonValueKind.String:
                var text = element.GetString()!;
                meter.Allow(text.Length);
                return text;
            case JsonValueKind.True: return PyNumber.True;
            case JsonValueKind.False: return PyNumber.False;
            case JsonValueKind.Number: return Number(element);
            case JsonValueKind.Array:
                var items = new List<object>(element.GetArrayLength());
                foreach (var item in element.EnumerateArray()) items.Add(FromJson(item, meter));
                return new PyList(items);
            case JsonValueKind.Object:
                var dict = new PyDict(meter);
                foreach (var property in element.EnumerateObject()) dict.Items[property.Name] = FromJson(property.Value, meter);
                return dict;
            default: return None.Value;
        }
    }

    private static object Number(JsonElement element)
    {
        if (element.TryGetInt64(out var small) && element.GetRawText().AsSpan().IndexOfAny('.', 'e', 'E') < 0) return PyNumber.Of(small);
        var raw = element.GetRawText();
        if (raw.AsSpan().IndexOfAny('.', 'e', 'E') >= 0) return double.Parse(raw, NumberStyles.Float, CultureInfo.InvariantCulture);
        return PyNumber.ParseInt(raw, 10) ?? throw PythonError.Value("Exceeds the limit (4300 digits) for integer string conversion");
    }

    public static string Dump(Run run, object value, Binding options)
    {
        // tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)
        var indent = options.Get(1, None.Value);
        var indentText = indent switch
        {
            None => null,
            string text => text,
            _ => new string(' ', Math.Clamp(PyNumber.Index(indent), 0, 10_000)),
        };
        var (itemSeparator, keySeparator) = (indentText is null ? ", " : ",", ": ");
        if (options.Get(2, None.Value) is not None and var separators)
        {
            var parts = PySequence.ToList(separators, run.Meter);
            if (parts.Count != 2) throw PythonError.Value($"{(parts.Count < 2 ? "not enough" : "too many")} values to unpack (expected 2)");
            (itemSeparator, keySeparator) = (PyText.AsText(parts[0]) ?? throw PythonError.Type("separators must be str"), PyText.AsText(parts[1])
                ?? throw PythonError.Type("separators must be str"));
        }
        var writer = new Writer(run.Meter, options.Flag(0), indentText, itemSeparator, keySeparator, options.Flag(3));
        writer.Write(value, 0);
        return writer.Text.ToString();
    }

    private sealed class Writer(Meter meter, bool ascii, string? indent, string itemSeparator, string keySeparator, bool sorted)
    {
        public StringBuilder Text { get; } = new();

        public void Write(object value, int depth)
        {
            meter.Step();
            if (Text.Length > 1 << 27) meter.Spend(long.MaxValue);
            switch (value)
            {
                case None: Text.Append("null"); break;
                case bool flag: Text.Append(flag ? "true" : "false"); break;
                case long number: Text.Append(number); break;
                case BigInteger big: Text.Append(PyNumber.IntText(big)); break;
                case double real: Text.Append(Real(real)); break;
                case string or Markup: WriteString(PyText.AsText(value)!); break;
                case PyList list: WriteArray(list.Items, depth); break;
                case PyTuple tuple: WriteArray(tuple.Items, depth); break;
                case PyDict dict: WriteObject(dict, depth); break;
                default: throw PythonError.Type($"Object of type {PyText.TypeName(value)} is not JSON serializable");
            }
        }

        private static string Real(double real) => double.IsNaN(real)
            ? "NaN" : double.IsPositiveInfinity(real) ? "Infinity" : double.IsNegativeInfinity(real) ? "-Infinity" : PyNumber.FloatText(real);

        private void WriteArray(IReadOnlyList<object> items, int depth)
        {
            Text.Append('[');
            for (var i = 0; i < items.Count; i++)
            {
                if (i > 0) Text.Append(itemSeparator);
                NewLine(depth + 1);
                Write(items[i], depth + 1);
            }
            if (items.Count > 0) NewLine(depth);
            Text.Append(']');
        }

        private void WriteObject(PyDict dict, int depth)
        {
            var pairs = sorted ? Sorting.Sort([.. dict.Items], (a, b) => PyCompare.Order("<", a.Key, b.Key, meter))
                : (IEnumerable<KeyValuePair<object, object>>)dict.Items;
            Text.Append('{');
            var first = true;
            foreach (var (key, value) in pairs)
            {
                if (!first) Text.Append(itemSeparator);
                first = false;
                NewLine(depth + 1);
                WriteString(key switch
                {
                    string or Markup => PyText.AsText(key)!,
                    double real => Real(real),
                    bool flag => flag ? "true" : "false",
                    None => "null",
                    long or BigInteger => PyText.Repr(key, meter),
                    _ => throw PythonError.Type($"keys must be str, int, float, bool or None, not {PyText.TypeName(key)}"),
                });
                Text.Append(keySeparator);
                Write(value, depth + 1);
            }
            if (!first) NewLine(depth);
            Text.Append('}');
        }

        private void NewLine(int depth)
        {
            if (indent is null) return;
            meter.Spend(16 + (long)indent.Length * depth);
            Text.Append('\n');
            for (var i = 0; i < depth; i++) Text.Append(indent);
        }

        private void WriteString(string text)
        {
            meter.Spend(text.Length);
            Text.Append('"');
            foreach (var c in text)
            {
                switch (c)
                {
                    case '"': Text.Append("\\\""); break;
                    case '\\': Text.Append("\\\\"); break;
                    case '\n': Text.Append("\\n"); break;
                    case '\r': Text.Append("\\r"); break;
                    case '\t': Text.Append("\\t"); break;
                    case '\f': Text.Append("\\f"); break;
                    case '\b': Text.Append("\\b"); break;
                    case < ' ': Text.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture)); break;
                    case > '~' when ascii: Text.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture)); break;
                    default: Text.Append(c); break;
                }
            }
            Text.Append('"');
        }
    }
}
