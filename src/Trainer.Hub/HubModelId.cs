using System.Text.RegularExpressions;

namespace Trainer.Hub;

/// <summary>The name of a model (or, where <see cref="Kind"/> says so, of a data set) on the hub, ORG/NAME or NAME, with an optional revision:
/// ORG/NAME@REVISION.</summary>
/// <param name="Id">ORG/NAME or NAME.</param>
/// <param name="Revision">Branch, tag or commit; "main" where none was given.</param>
/// <param name="IsRevisionGiven">Whether the user named the revision.</param>
public sealed partial record HubModelId(string Id, string Revision, bool IsRevisionGiven)
{
    /// <summary>What lies under the name.</summary>
    public HubKind Kind { get; init; }

    /// <summary>What it is, for messages.</summary>
    public string Noun => Kind == HubKind.Dataset ? "data set" : "model";

    /// <summary>What the user would type for it.</summary>
    public override string ToString() => IsRevisionGiven ? $"{Id}@{Revision}" : Id;

    /// <summary>Whether the revision is a whole commit hash.</summary>
    public bool IsCommit => Commit().IsMatch(Revision);

    /// <summary>Parses what a user typed; null where it cannot be a hub id.</summary>
    public static HubModelId? TryParse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var at = text.IndexOf('@', StringComparison.Ordinal);
        string id = at < 0 ? text : text[..at], revision = at < 0 ? "main" : text[(at + 1)..];
        // The hub's own rules; the folder name "models--ORG--NAME" relies on the ban of "--".
        var isId = id.Length <= 96 && Id_().IsMatch(id) && !id.Contains("--", StringComparison.Ordinal) && !id.Contains("..", StringComparison.Ordinal)
            && !id.EndsWith(".git", StringComparison.Ordinal);
        return isId && IsSafeRevision(revision) ? new HubModelId(id, revision, at >= 0) : null;
    }

    private static bool IsSafeRevision(string revision) => revision.Length is > 0 and <= 200 && Revision_().IsMatch(revision)
        && revision.Split('/').All(static part => part is not ("" or "." or ".."));

    [GeneratedRegex("^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?(/[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?)?\\z", RegexOptions.CultureInvariant)]
    private static partial Regex Id_();

    [GeneratedRegex("^[A-Za-z0-9_./+-]+\\z", RegexOptions.CultureInvariant)]
    private static partial Regex Revision_();

    [GeneratedRegex("^[0-9a-f]{40}\\z", RegexOptions.CultureInvariant)]
    private static partial Regex Commit();
}
