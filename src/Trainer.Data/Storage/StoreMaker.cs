using Trainer.Data.Reading;
using Trainer.Data.Rows;

namespace Trainer.Data.Storage;

/// <summary>Makes the store of a group of files, or refuses it.</summary>
internal sealed class StoreMaker(DataOptions options, TextTools tools, IProgress<DataProgress>? progress, CancellationToken cancellation)
{
    public Limits Limits { get; init; } = Limits.Default;

    public TokenStore Make(InputGroup group, bool heldOut = false)
    {
        if (options.CacheDirectory is null) return InMemory(group, heldOut);
        var cache = new TokenCache(options, tools);
        var key = cache.Key(group, heldOut);
        if (TokenCacheFile.TryOpen(cache.PathOf(key), key) is { } cached) return cached;
        using var writer = cache.TryCreate(key);
        if (writer is null) return InMemory(group, heldOut);
        try
        {
            return Fill(group, heldOut, writer);
        }
        catch (IOException fault)
        {
            throw new DataException($"cannot write token cache ({cache.PathOf(key)}): {fault.Message.TrimEnd('.')}; free space, or name another cache folder", fault);
        }
    }

    private TokenStore InMemory(InputGroup group, bool heldOut)
    {
        using var writer = new MemoryTokens();
        return Fill(group, heldOut, writer);
    }

    private TokenStore Fill(InputGroup group, bool heldOut, ITokenWriter writer)
    {
        var statistics = new StatisticsBuilder();
        var refused = new FaultSummary(options.MaxSeqLength);
        var index = new RowIndex();
        new RowPipeline(tools.Encoder(options, heldOut), Limits, progress, cancellation).Run(group, statistics, (file, row) =>
        {
            statistics.Count(row);
            if (row.Fault is { } fault)
            {
                if (Drops(options, fault.Kind)) statistics.Drop(fault.Kind);
                else if (fault.Kind is FaultKind.Malformed or FaultKind.DoubleBos) throw new DataException(fault.Message);
                else refused.Add(row);
                return;
            }
            foreach (var part in row.Parts)
                index.Add(writer.Write(part.Ids, part.Labels), part.Ids, part.Labels, part.TrainedTokens, row.Weight, file, row.Source.Line);
        });
        refused.ThrowIfAny(statistics.Rows);
        if (index.Count == 0)
            throw new DataException($"no rows left of {statistics.Rows} ({string.Join(", ", group.Files.Take(3).Select(file => file.Path))}): every one was dropped; `trainer data check` lists why");
        return writer.Finish(index, statistics.Build());
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
