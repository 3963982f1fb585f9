namespace Trainer.Training.State;

/// <summary>Compares the data of two runs: contents, roles and order decide; where the files lie does not.</summary>
internal static class DataDrift
{
    /// <summary>The difference as a clause, or null where there is none.</summary>
    public static string? Between(IReadOnlyList<RunDataFile> then, IReadOnlyList<RunDataFile> now)
    {
        // Records of older versions know neither roles nor order.
        if (then.Any(file => file.Role.Length == 0))
            return Hashes(then).Order(StringComparer.Ordinal).SequenceEqual(Hashes(now).Order(StringComparer.Ordinal)) ? null : Contents(then, now);
        if (then.Select(Key).SequenceEqual(now.Select(Key))) return null;
        if (then.Select(Key).Order().SequenceEqual(now.Select(Key).Order()))
            return $"the data files come in another order ({Names(now)} instead of {Names(then)})";
        if (Hashes(then).Order(StringComparer.Ordinal).SequenceEqual(Hashes(now).Order(StringComparer.Ordinal)))
            return $"the data files have other roles (trained on: {Names(Of(now, RunDataFile.Train))} instead of {Names(Of(then, RunDataFile.Train))})";
        return Contents(then, now);
    }

    private static string Contents(IReadOnlyList<RunDataFile> then, IReadOnlyList<RunDataFile> now)
    {
        var before = Hashes(then).ToHashSet();
        var other = now.FirstOrDefault(file => !before.Contains(file.Sha256));
        if (other is null)
            return now.Count < then.Count
                ? $"the data has lost its file '{then.First(file => !Hashes(now).Contains(file.Sha256) || Count(then, file) > Count(now, file)).Path}'"
                : $"the data reads '{now.First(file => Count(now, file) > Count(then, file)).Path}' more often";
        return then.Any(file => file.Path == other.Path) ? $"the data's file '{other.Path}' has changed"
            : then.Count < now.Count ? $"the data has a new file '{other.Path}'"
            : $"the data's file '{other.Path}' is none of those it had ({Names(then)})";
    }

    private static int Count(IReadOnlyList<RunDataFile> files, RunDataFile like) => files.Count(file => file.Sha256 == like.Sha256);

    private static (string, string) Key(RunDataFile file) => (file.Role, file.Sha256);

    private static IEnumerable<string> Hashes(IReadOnlyList<RunDataFile> files) => files.Select(file => file.Sha256);

    private static List<RunDataFile> Of(IReadOnlyList<RunDataFile> files, string role) => [.. files.Where(file => file.Role == role)];

    private static string Names(IReadOnlyList<RunDataFile> files) =>
        string.Join(", ", files.Take(3).Select(file => $"'{Path.GetFileName(file.Path)}'")) + (files.Count > 3 ? $" and {files.Count - 3} more" : "");
}
