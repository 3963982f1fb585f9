using System.Numerics;

namespace Trainer.Templates.Jinja;

/// <summary>The binary operators on any two values.</summary>
internal static class PyArithmetic
{
    public static object Apply(string sign, object left, object right, Run run)
    {
        var meter = run.Meter;
        if (PyNumber.IsNumber(left) && PyNumber.IsNumber(right)) return PyNumber.Calculate(sign, left, right, meter);
        switch (sign)
        {
            case "+": return Add(left, right, meter);
            case "*" when Repeat(left, right, meter) is { } repeated: return repeated;
            case "%" when left is string or Markup:
                return PercentFormat.Apply(left, right, run);
        }
        if (left is Undefined first) throw first.Error(meter);
        if (right is Undefined second) throw second.Error(meter);
        if (sign == "*" && (IsSequence(left) || IsSequence(right)))
            throw PythonError.Type($"can't multiply sequence by non-int of type '{PyText.TypeName(IsSequence(left) ? right : left)}'");
        throw Unsupported(sign, left, right);
    }

    private static PythonError Unsupported(string sign, object left, object right) =>
        PythonError.Type($"unsupported operand type(s) for {(sign == "**" ? "** or pow()" : sign)}: '{PyText.TypeName(left)}' and '{PyText.TypeName(right)}'");

    private static bool IsSequence(object value) => value is string or PyList or PyTuple;

    private static object Add(object left, object right, Meter meter)
    {
        if (left is string a && right is string b)
        {
            meter.Spend((long)a.Length + b.Length);
            return a + b;
        }
        if (left is Undefined first) throw first.Error(meter);
        if (right is Undefined second) throw second.Error(meter);
        if ((left is Markup || right is Markup) && PyText.AsText(left) != null && PyText.AsText(right) != null)
        {
            var text = Markup.Escape(left, meter).Text + Markup.Escape(right, meter).Text;
            meter.Spend(text.Length);
            return new Markup(text);
        }
        switch (left, right)
        {
            case (PyList m, PyList n):
                meter.SpendItems((long)m.Items.Count + n.Items.Count);
                return new PyList([.. m.Items, .. n.Items]);
            case (PyTuple m, PyTuple n):
                meter.SpendItems((long)m.Items.Length + n.Items.Length);
                return new PyTuple([.. m.Items, .. n.Items]);
            case (string or PyList or PyTuple, _):
                throw PythonError.Type($"can only concatenate {PyText.TypeName(left)} (not \"{PyText.TypeName(right)}\") to {PyText.TypeName(left)}");
        }
        throw Unsupported("+", left, right);
    }

    private static object? Repeat(object left, object right, Meter meter)
    {
        var (sequence, count) = PyNumber.IsInteger(right) ? (left, right) : (right, left);
        if (!PyNumber.IsInteger(count) || !(IsSequence(sequence) || sequence is Markup)) return null;
        var times = BigInteger.Max(PyNumber.Big(count), 0);
        var size = times * PySequence.Length(sequence);
        var cost = size > int.MaxValue ? long.MaxValue : (long)size;
        if (sequence is PyList or PyTuple) meter.SpendItems(cost);
        else meter.Spend(cost);
        switch (sequence)
        {
            case string text: return Repeated(text, (int)BigInteger.Min(times, int.MaxValue));
            case Markup markup: return new Markup(Repeated(markup.Text, (int)BigInteger.Min(times, int.MaxValue)));
            case PyList list: return new PyList(size.IsZero ? [] : Enumerable.Repeat(list.Items, (int)times).SelectMany(items => items).ToList());
            default: return new PyTuple(size.IsZero ? [] : Enumerable.Repeat(((PyTuple)sequence).Items, (int)times).SelectMany(items => items).ToArray());
        }
    }

    private static string Repeated(string text, int times)
    {
        if (text.Length == 0 || times == 0) return "";
        return string.Create(text.Length * times, text, (span, part) =>
        {
            part.CopyTo(span);
            for (var filled = part.Length; filled < span.Length; filled *= 2) span[..Math.Min(filled, span.Length - filled)].CopyTo(span[filled..]);
        });
    }
}
