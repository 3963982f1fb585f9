using System.Runtime.CompilerServices;

namespace Trainer.Templates.Jinja;

/// <summary>
/// What one render may spend: steps, and chars or items made. A template is a program from a downloaded file, so an endless loop,
/// a doubling string or a bottomless recursion must end in an error. Honest templates need some thousand steps.
/// </summary>
internal sealed class Meter
{
    private const long Allowance = 16_000_000;
    private const long LargestValue = 1L << 27;
    private const int CharsPerStep = 8;
    private const int MostItems = 1 << 22;
    private const int StepsPerItem = 2;
    private long _left = Allowance;

    public Meter() => Keys = new KeyComparer(this);

    /// <summary>Python's equality and hash, paid from this meter (a nest of shared tuples takes exponential time to compare).</summary>
    public KeyComparer Keys { get; }

    /// <summary>One evaluation; also the guard of the thread's stack, so that every recursion of the interpreter passes here.</summary>
    public void Step()
    {
        if (--_left < 0) throw Spent();
        RuntimeHelpers.EnsureSufficientExecutionStack();
    }

    /// <summary>Pays for a value of this many chars or items before or after it is made.</summary>
    public void Spend(long size)
    {
        if (size > LargestValue) throw PythonError.Limit("a value grew beyond 128 million characters or items");
        if (size <= CharsPerStep) return;
        _left -= size / CharsPerStep;
        if (_left < 0) throw Spent();
    }

    /// <summary>Pays for a list or tuple of this many items.</summary>
    public void SpendItems(long count)
    {
        if (count > MostItems) throw PythonError.Limit("a list grew beyond four million items");
        if (count <= CharsPerStep) return;
        _left -= count / StepsPerItem;
        if (_left < 0) throw Spent();
    }

    /// <summary>A longer conversation may take longer: some passes over each of its strings are free.</summary>
    public void Allow(int chars) => _left += chars;

    private static PythonError Spent() => PythonError.Limit("the template ran for too many steps (an endless loop or a huge range)");
}
