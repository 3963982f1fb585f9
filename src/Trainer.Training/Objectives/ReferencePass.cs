using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Trainer.Data;
using Trainer.Distributed;
using Trainer.Numerics.Spans;
using Trainer.Training.Records;
using Trainer.Training.State;
using Trainer.Training.Steps;

namespace Trainer.Training.Objectives;

/// <summary>
/// Asks the reference about every example once, before the first step, and keeps what it said in the folder of tokenized data: a step then needs no
/// second model. Examples go through it in file order, in groups that depend on the data and the options alone, so that asking again gives the
/// same bits.
/// </summary>
internal sealed class ReferencePass(TrainingOptions options, IAdaptedModel model, IReference reference, ICollective ranks, Events events,
    CancellationToken stop)
{
    private const string Version = "reference 1";

    /// <summary>What the reference says of a set.</summary>
    /// <param name="set">The examples.</param>
    /// <param name="most">Tokens of the largest micro-batch of the run: a group takes no more, unless one example does.</param>
    /// <param name="files">What base and adapter were read from.</param>
    public ReferenceLosses Of(ExampleSet set, int most, Fingerprint files)
    {
        var key = Key(set, most, files);
        var path = options.Data.CacheDirectory is { } folder ? Path.Combine(folder, Convert.ToHexStringLower(key)[..32] + ".reference.tokens") : null;
        var tokens = checked((int)set.Tokens);
        var found = path is null ? null : ReferenceFile.TryRead(path, key, tokens);
        double[] missing = [found is null ? 1 : 0];
        ranks.Sum([], missing);
        if (missing[0] == 0) return new ReferenceLosses(set, found!);
        var values = Ask(set, most, tokens);
        if (path is not null && ranks.LocalRank == 0 && ReferenceFile.TryWrite(path, key, values) is { } why)
            events.Note($"what the reference says is kept in memory alone: {why}");
        return new ReferenceLosses(set, values);
    }

    private float[] Ask(ExampleSet set, int most, int tokens)
    {
        var (values, starts) = (new float[tokens], ReferenceLosses.Starts(set));
        var group = 0;
        for (int begin = 0, end; begin < set.Count; begin = end, group++)
        {
            stop.ThrowIfCancellationRequested();
            for (end = begin + 1; end < set.Count && starts[end + 1] - starts[begin] <= most;) end++;
            if (group % ranks.Size != ranks.Rank) continue;
            reference.TokenLosses(model, set.Batch([.. Enumerable.Range(begin, end - begin)])).CopyTo(values, starts[begin]);
            events.Emit(new PhaseProgressed("asking the reference", end, set.Count));
        }
        // The other ranks' examples are 0 here.
        ranks.Sum(values, []);
        events.Emit(new PhaseProgressed("asking the reference", set.Count, set.Count));
        return values;
    }

    private byte[] Key(ExampleSet set, int most, Fingerprint files)
    {
        string[] parts =
        [
            Version, typeof(ReferencePass).Assembly.GetName().Version?.ToString() ?? "", Fingerprint.Combined(files.Base), Adapter(),
            Convert.ToHexStringLower(set.Digest()),
            options.Quantize.ToString(), options.DoubleQuant.ToString(), model.Compute.ToString(), options.Device,
            model.Threads.ToString(CultureInfo.InvariantCulture),
            most.ToString(CultureInfo.InvariantCulture),
        ];
        return SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', parts)));
    }

    // The values and not the files: they are what is asked.
    private string Adapter()
    {
        if (!ObjectiveTable.ReferenceIsAdapter(options)) return "none";
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (begin, count) in LongBlocks.Of(model.Parameters.Length))
            hash.AppendData(MemoryMarshal.AsBytes(model.Parameters.HostValues().Span(begin, count)));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
