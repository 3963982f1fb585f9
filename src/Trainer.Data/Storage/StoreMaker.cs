using Trainer.Data.Reading;
using Trainer.Data.Rows;

namespace Trainer.Data.Storage;

/// <summary>Makes the store of a group of files, or refuses it.</summary>
internal sealed class StoreMaker(DataOptions options, TextTools tools, IProgress<DataProgress>? progress, CancellationToken cancellation)
{
    public Limits Limits { get; init; } = Limits.Default;

    /// <summary>What a user should know of the cache, as sentences.</summary>
    public List<string> Notes { get; } = [];

    public TokenStore Make(InputGroup group, bool heldOut = false)
    {
        if (options.CacheDirectory is null) return InMemory(group, heldOut);
        var cache = new TokenCache(options, tools);
        var key = cache.Key(group, heldOut);
        if (cache.TryOpen(key) is { } cached) return cached;
        // Another run (or another rank of this one) may be making the same file: its work is waited for, not done twice.
        using var turn = cache.WaitForTurn(key, cancellation);
        if (cache.TryOpen(key) is { } made) return made;
        using var writer = cache.TryCreate(key);
        if (writer is null) return Without("it cannot be written there");
        try
        {
            return Fill(group, heldOut, writer);
        }
        // .NET calls a write beyond `ulimit -f` a wrong argument.
        catch (Exception fault) when (fault is IOException or ArgumentOutOfRangeException { ParamName: "value" })
        {
            // A cache is a convenience, never a reason to stop; the disk of the cache may be full while memory is not.
            return Without(fault.Message.TrimEnd('.'));
        }

        TokenStore Without(string why)
        {
            Notes.Add($"tokens are kept in memory and not in the cache '{options.CacheDirectory}': {why}; free space there, or set TRAINER_CACHE to another "
                + "folder");
            return InMemory(group, heldOut);
        }
    }

    private TokenStore InMemory(InputGroup group, bool heldOut)
    {
        using var writer = new MemoryTokens();
        return Fill(group, heldOut, writer);
    }

    private TokenStore Fill(InputGroup group, bool heldOut, ITokenWriter writer)
    {
        using var statistics = new StatisticsBuilder();
        var refused = new FaultSummary(options.MaxSeqLength);
        new RowPipeline(tools.Encoder(options, heldOut), Limits, progress, cancellation).Run(group, statistics, (file, row) =>
        {
            statistics.Count(file, row);
            if (row.Fault is { } fault)
            {
                if (Drops(options, fault.Kind)) statistics.Drop(fault.Kind);
                else if (fault.Kind is FaultKind.Malformed or FaultKind.DoubleBos) throw new DataException(fault.Message);
                else refused.Add(row);
                return;
            }
            foreach (var part in row.Parts)
                writer.Write(part.Ids, part.Labels, new RowRecord(0, row.Source.Line, Checksum.Of(part.Ids, part.Labels), part.Ids.Length, part.TrainedTokens,
                    file, row.Weight));
        });
        refused.ThrowIfAny(statistics.Rows);
        if (writer.Count == 0)
            throw new DataException($"no rows left of {statistics.Rows} ({string.Join(", ", group.Files.Take(3).Select(file => file.Path))}): every one was "
                + "dropped; `trainer data check` lists why");
        return writer.Finish(statistics.Build());
    }

    /// <summary>Whether the options leave such a row out instead of refusing the data.</summary>
    public static bool Drops(DataOptions options, FaultKind kind) => kind switch
    {
        FaultKind.Malformed or FaultKind.DoubleBos or FaultKind.LeftOut => options.OnBadRow == OnBadRow.Drop,
        FaultKind.NothingTrained => options.DropEmpty,
        FaultKind.TooLong => options.OnTooLong == OnTooLong.Drop,
        _ => false,
    };
}
