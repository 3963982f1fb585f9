namespace Trainer.Templates.Jinja;

/// <summary>A stable sort that asks for less-than alone, as Python's does, and lets its errors through.</summary>
internal static class Sorting
{
    public static List<T> Sort<T>(List<T> items, Func<T, T, bool> less)
    {
        if (items.Count < 2) return items;
        var half = items.Count / 2;
        var (left, right) = (Sort(items[..half], less), Sort(items[half..], less));
        var merged = new List<T>(items.Count);
        var (i, j) = (0, 0);
        while (i < left.Count && j < right.Count) merged.Add(less(right[j], left[i]) ? right[j++] : left[i++]);
        merged.AddRange(left[i..]);
        merged.AddRange(right[j..]);
        return merged;
    }
}
