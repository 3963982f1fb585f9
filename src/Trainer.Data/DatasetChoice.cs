using Trainer.Data.Reading;
using Trainer.Data.Sources;

namespace Trainer.Data;

/// <summary>Which files of a data set of the hub are needed, told from their paths and its card before anything else is fetched.</summary>
public static class DatasetChoice
{
    /// <summary>The paths to fetch.</summary>
    /// <param name="name">The data set, for messages.</param>
    /// <param name="paths">Every file of it.</param>
    /// <param name="cardFolder">Folder that holds its README.md, or null where it has none.</param>
    /// <param name="subset">The subset that is meant, or null for the default.</param>
    /// <param name="split">The split (or splits, or a part of one) that is meant, or null for all.</param>
    /// <exception cref="DataException">It has no such subset or split, or no file that is read.</exception>
    public static IReadOnlyList<string> Of(string name, IReadOnlyList<string> paths, string? cardFolder, string? subset, string? split)
    {
        var data =
            paths.Where(path => RowReader.Extensions.Contains(InputFile.FormatOf(path))
            && !path.Split('/').Any(part => part[0] == '.' || part.StartsWith("__", StringComparison.Ordinal))
            && Path.GetFileName(path) is not ("config.json" or DatasetInfo.FileName or "dataset_infos.json" or "dataset_dict.json"))
            .Order(StringComparer.Ordinal).ToList();
        if (data.Count == 0)
            throw new DataException($"data set '{name}' has no data file that is read (parquet, json, csv, text): it may be made by a program; its converted "
                + $"form is at {name}@refs/convert/parquet");
        Dictionary<string, List<string>> splits;
        if (cardFolder is not null && DatasetCard.Read(cardFolder) is { } card
            && card.Files(card.Choose(subset, name, "."), data, ".") is { Count: > 0 } declared)
            splits = declared;
        else
        {
            if (subset is not null && (data = [.. data.Where(path => path.StartsWith(subset + "/", StringComparison.Ordinal))]).Count == 0)
                throw new DataException($"data set '{name}' has no subset '{subset}': no folder of it is called so, and its card declares none; leave the "
                    + "subset out");
            splits = SplitNames.Infer(data, subset ?? ".").Splits;
        }
        if (split is null) return [.. splits.Values.SelectMany(files => files).Distinct()];
        return [
            .. SplitExpression.Parse(split).SelectMany(
                part => splits.TryGetValue(part.Split.Length == 0 ? SplitNames.Train : part.Split, out var files)
                    || splits.TryGetValue(SplitNames.Canonical(part.Split), out files)
            ? files
            : throw new DataException($"data set '{name}' has no split "
                + $"'{part.Split}': it has {string.Join(", ", splits.Keys.Select(key => $"'{key}'"))}; name one of them")).Distinct()];
    }
}
