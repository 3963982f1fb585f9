using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Engine;

/// <summary>What all layers of one forward pass share: rotary tables, runs of equal segments, attention masks. Its tensors live in the scope it was made in.</summary>
internal sealed class BatchContext
{
    private readonly Dictionary<(int Length, int Window), Tensor> _masks = [];
    private readonly (Tensor Cos, Tensor Sin)[] _rotary;
    private readonly Device _device;

    /// <summary>Makes the tables of one batch.</summary>
    /// <param name="config">The model.</param>
    /// <param name="batch">The tokens.</param>
    /// <param name="key">Dropout key, or null for none.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="cache">Keys and values of earlier tokens, or null.</param>
    public BatchContext(ModelConfig config, TokenBatch batch, StepKey? key, Device device, KvCache? cache = null)
    {
        Batch = batch;
        Key = key;
        Cache = cache;
        _device = device;
        TokenIds = tensor(batch.TokenIds, dtype: ScalarType.Int64, device: device);
        var positions = tensor(batch.Positions, dtype: ScalarType.Float32, device: device).unsqueeze(1);
        var length = Math.Max(batch.Positions.Max() + 1, batch.TextLength);
        _rotary = new (Tensor, Tensor)[config.Ropes.Count];
        for (var r = 0; r < config.Ropes.Count; r++)
        {
            var (frequencies, multiplier) = RopeTable.Make(config.Ropes[r], length);
            var angles = positions * tensor(frequencies, dtype: ScalarType.Float32, device: device).unsqueeze(0);
            var (cos, sin) = (angles.cos(), angles.sin());
            if (multiplier != 1) (cos, sin) = (cos * multiplier, sin * multiplier);
            _rotary[r] = (cos.unsqueeze(1), sin.unsqueeze(1)); // [T, 1, rotated / 2]
        }
        Runs = FindRuns(batch.SegmentStarts);
    }

    /// <summary>The tokens.</summary>
    public TokenBatch Batch { get; }

    /// <summary>Dropout key, or null.</summary>
    public StepKey? Key { get; }

    /// <summary>Keys and values of earlier tokens, or null.</summary>
    public KvCache? Cache { get; }

    /// <summary>Token ids [T], int64.</summary>
    public Tensor TokenIds { get; }

    /// <summary>Neighbouring segments of equal length, which attention takes as one batch.</summary>
    public IReadOnlyList<(int Start, int Count, int Length)> Runs { get; }

    /// <summary>Cosines and sines [T, 1, rotated / 2] of a rotary embedding.</summary>
    public (Tensor Cos, Tensor Sin) Rotary(int rope) => _rotary[rope];

    /// <summary>True where query i may see key j: j &lt;= i and i - j &lt; window. [length, length].</summary>
    public Tensor Mask(int length, int window)
    {
        if (_masks.TryGetValue((length, window), out var mask)) return mask;
        mask = BandMask(length, length, window, _device);
        return _masks[(length, window)] = mask.MoveToOuterDisposeScope();
    }

    /// <summary>The band of a causal window where the last <paramref name="queries"/> of <paramref name="keys"/> tokens ask. [queries, keys].</summary>
    public static Tensor BandMask(int queries, int keys, int window, Device device)
    {
        using var scope = NewDisposeScope();
        var i = arange(keys - queries, keys, dtype: ScalarType.Int64, device: device).unsqueeze(1);
        var j = arange(keys, dtype: ScalarType.Int64, device: device).unsqueeze(0);
        var distance = i - j;
        return distance.ge(0).logical_and(distance.lt(window)).MoveToOuterDisposeScope();
    }

    private static List<(int, int, int)> FindRuns(int[] starts)
    {
        var runs = new List<(int Start, int Count, int Length)>();
        for (var s = 0; s + 1 < starts.Length; s++)
        {
            var length = starts[s + 1] - starts[s];
            if (runs.Count > 0 && runs[^1].Length == length) runs[^1] = runs[^1] with { Count = runs[^1].Count + 1 };
            else runs.Add((starts[s], 1, length));
        }
        return runs;
    }
}
