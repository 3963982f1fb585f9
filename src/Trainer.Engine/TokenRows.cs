using Trainer.Models.Drawing;

namespace Trainer.Engine;

/// <summary>Rows of an embedding or a head that are trained in place of the frozen ones; the rest of the table stays as it is.</summary>
public sealed class TokenRows
{
    private readonly Dictionary<int, int> _places;

    private TokenRows(IReadOnlyList<int> ids, ParameterEntry entry)
    {
        (Ids, Entry) = (ids, entry);
        _places = ids.Select((id, place) => (id, place)).ToDictionary(pair => pair.id, pair => pair.place);
    }

    /// <summary>The tokens, in the order of the rows.</summary>
    public IReadOnlyList<int> Ids { get; }

    /// <summary>The rows [tokens, hidden]; a tied head shares the embedding's.</summary>
    public ParameterEntry Entry { get; }

    internal static TokenRows? Of(TrainedModule? trained, ParameterBuffer parameters) =>
        trained?.Rows is { } name ? new TokenRows(trained.RowIds, parameters.Find(name)!) : null;

    /// <summary>Which of some tokens have a trained row, and which row that is.</summary>
    /// <param name="tokens">Token ids.</param>
    internal (long[] At, long[] Row) Find(ReadOnlySpan<int> tokens)
    {
        List<long> at = [], row = [];
        for (var t = 0; t < tokens.Length; t++)
        {
            if (!_places.TryGetValue(tokens[t], out var place)) continue;
            at.Add(t);
            row.Add(place);
        }
        return ([.. at], [.. row]);
    }
}
