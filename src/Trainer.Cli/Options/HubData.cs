using System.Text.RegularExpressions;
using Trainer.Hub;

namespace Trainer.Cli.Options;

/// <summary>A data set of the hub as users type it: ORG/NAME[@REVISION][:SUBSET][/SPLIT or @SPLIT], the split with a part as in <c>train[:10%]</c>.</summary>
/// <param name="Id">The data set and its revision.</param>
/// <param name="Subset">The subset, or null for the default.</param>
/// <param name="Split">The split, or null for the one that its use asks for.</param>
internal sealed partial record HubData(HubModelId Id, string? Subset, string? Split)
{
    /// <summary>What names it without subset and split.</summary>
    public string Name => Id.ToString();

    /// <summary>The data set that a text stands for in the cache or, where none is there, as it is most likely meant; null for a path.</summary>
    public static HubData? Find(string text, HubCache cache)
    {
        var readings = Readings(text).ToList();
        return readings.Find(reading => cache.Snapshot(reading.Id) is not null) ?? readings.FirstOrDefault();
    }

    /// <summary>Its folder in the cache, or null.</summary>
    public string? Folder(HubCache cache) => cache.Snapshot(Id);

    // ORG/NAME first, then NAME alone with a split behind it; a word behind @ is a revision, or else a split.
    private static IEnumerable<HubData> Readings(string text)
    {
        foreach (var form in new[] { WithOwner(), Alone() })
        {
            if (form.Match(text) is not { Success: true } match) continue;
            string? Group(string name) => match.Groups[name] is { Success: true, Length: > 0 } group ? group.Value : null;
            var (id, at, subset) = (match.Groups["id"].Value, Group("at"), Group("subset"));
            var split = Group("split") is { } named ? named + Group("part") : Group("part");
            if (IdOf(at is null ? id : $"{id}@{at}") is { } exact) yield return new HubData(exact, subset, split);
            if (at is not null && Group("split") is null && IdOf(id) is { } plain) yield return new HubData(plain, subset, at + Group("part"));
        }
    }

    private static HubModelId? IdOf(string text) => HubModelId.TryParse(text) is { } id ? id with { Kind = HubKind.Dataset } : null;

    [GeneratedRegex(@"^(?<id>[\w.-]+/[\w.-]+)(@(?<at>(refs/[\w.-]+/[\w.-]+|[\w.+-]+)))?(:(?<subset>[\w.-]+))?([/@](?<split>[\w.+-]+))?(?<part>\[.*)?\z")]
    private static partial Regex WithOwner();

    [GeneratedRegex(@"^(?<id>[\w.-]+)(@(?<at>[\w.+-]+))?(:(?<subset>[\w.-]+))?([/@](?<split>[\w.+-]+))?(?<part>\[.*)?\z")]
    private static partial Regex Alone();
}
