namespace Trainer.Models.Config;

/// <summary>How far two names are from each other: letters to put in, take out or change (Levenshtein), fewer where one begins as the other.</summary>
internal static class NameDistance
{
    public static double Between(string one, string other)
    {
        var row = Enumerable.Range(0, other.Length + 1).ToArray();
        for (var i = 1; i <= one.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= other.Length; j++)
            {
                var above = row[j];
                row[j] = Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (one[i - 1] == other[j - 1] ? 0 : 1));
                diagonal = above;
            }
        }
        // The letters of the family come first in a name, its size or modality last.
        var common = one.Zip(other).TakeWhile(pair => pair.First == pair.Second).Count();
        return row[^1] - common;
    }
}
