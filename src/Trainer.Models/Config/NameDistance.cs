using F23.StringSimilarity;

namespace Trainer.Models.Config;

/// <summary>How far two names are from each other: letters to put in, take out, change or swap, fewer where one begins as the other.</summary>
internal static class NameDistance
{
    private static readonly OptimalStringAlignment Edits = new();

    public static double Between(string one, string other)
    {
        // The letters of the family come first in a name, its size or modality last.
        var common = one.Zip(other).TakeWhile(pair => pair.First == pair.Second).Count();
        return Edits.Distance(one, other) - common;
    }
}
