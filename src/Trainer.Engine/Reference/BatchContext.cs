using TorchSharp;
using Trainer.Engine.Generation;
using Trainer.Engine.Layers.Experts;
using Trainer.Engine.Rope;
using Trainer.Models.Config;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Reference;

/// <summary>What all layers of one forward pass share: rotary tables, runs of equal segments, attention masks, and what layers give to later ones. Its tensors
/// live in the scope it was made in.</summary>
internal sealed class BatchContext : IDisposable
{
    private readonly SharedValues _shared = new();
    private readonly Dictionary<(int Length, int? Window, int? Chunk), Tensor> _masks = [];
    private readonly (Tensor Cos, Tensor Sin, bool IsInterleaved)[] _rotary;
    private readonly Device _device;

    /// <summary>Makes the tables of one batch.</summary>
    /// <param name="config">The model.</param>
    /// <param name="batch">The tokens.</param>
    /// <param name="key">Dropout key, or null for none.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="caches">Keys and values of each segment's earlier tokens, or null.</param>
    public BatchContext(ModelConfig config, TokenBatch batch, StepKey? key, Device device, KvCache[]? caches = null)
    {
        Batch = batch;
        Key = key;
        Caches = caches;
        _device = device;
        TokenIds = tensor(batch.TokenIds, dtype: ScalarType.Int64, device: device);
        var positions = tensor(batch.Positions, dtype: ScalarType.Float32, device: device).unsqueeze(1);
        _rotary = new (Tensor, Tensor, bool)[config.Ropes.Count];
        Positions = positions;
        for (var r = 0; r < config.Ropes.Count; r++)
        {
            var (cos, sin) = Tables(config.Ropes[r], batch, positions);
            _rotary[r] = (cos.unsqueeze(1), sin.unsqueeze(1), config.Ropes[r].IsInterleaved); // [T, 1, rotated / 2]
        }
        Runs = FindRuns(batch.SegmentStarts);
    }

    /// <summary>The tokens.</summary>
    public TokenBatch Batch { get; }

    /// <summary>Dropout key, or null.</summary>
    public StepKey? Key { get; }

    /// <summary>Keys, values and states of each segment's earlier tokens, or null where segments begin their texts.</summary>
    public KvCache[]? Caches { get; }

    /// <summary>The routers' term of the loss, or null.</summary>
    public RouterBalance? Balance { get; init; }

    /// <summary>Multiplier of the loss's gradient, for the routers' term.</summary>
    public double BalanceScale { get; set; }

    /// <summary>Token ids [T], int64.</summary>
    public Tensor TokenIds { get; }

    /// <summary>Neighbouring segments of equal length, which attention takes as one batch.</summary>
    public IReadOnlyList<(int Start, int Count, int Length)> Runs { get; }

    /// <summary>Rotary positions [T, 1], float32.</summary>
    public Tensor Positions { get; }

    /// <summary>Turns pairs of the first elements of each head [T, heads, size] by a rotary embedding; the rest passes.</summary>
    public Tensor Rotate(int rope, Tensor x)
    {
        var (cos, sin, isInterleaved) = _rotary[rope];
        var (half, size, all) = (cos.shape[2], 2 * cos.shape[2], x.shape[2]);
        Tensor turned;
        if (isInterleaved)
        {
            var pairs = x.narrow(2, 0, size).reshape(x.shape[0], x.shape[1], half, 2);
            var (first, second) = (pairs.select(3, 0), pairs.select(3, 1));
            turned = stack([first * cos - second * sin, second * cos + first * sin], 3).reshape(x.shape[0], x.shape[1], size);
        }
        else
        {
            var (first, second) = (x.narrow(2, 0, half), x.narrow(2, half, half));
            turned = cat([first * cos - second * sin, second * cos + first * sin], 2);
        }
        return size == all ? turned : cat([turned, x.narrow(2, size, all - size)], 2);
    }

    /// <summary>The multiplier of each token's queries [T, 1, 1].</summary>
    public Tensor Temperature(QueryTemperature temperature) =>
        (1 + temperature.Slope * (1 + ((Positions + temperature.Shift) / temperature.Period).floor()).log()).unsqueeze(2);

    /// <summary>Gives a value to later layers.</summary>
    public void Share(string name, Tensor value) => _shared.Give(name, value);

    /// <summary>What an earlier layer gave.</summary>
    public Tensor Shared(string name) => _shared.Take(name);

    /// <summary>From now on layers are computed again, each by itself, for its backward pass.</summary>
    public void Replay()
    {
        _shared.Replay();
        Balance?.Replay();
    }

    /// <summary>Runs the backward pass of a layer's output, of what the layer gave to later ones, and of its router's part of the loss.</summary>
    public void Backward(Tensor output, Tensor gradient) => _shared.Backward(output, gradient, Balance?.TakePart(BalanceScale));

    public void Dispose()
    {
        _shared.Dispose();
        Balance?.Dispose();
    }

    /// <summary>True where query i may see key j: j &lt;= i, i - j &lt; window, both in one block. [length, length].</summary>
    public Tensor Mask(int length, int? window, int? chunk)
    {
        if (_masks.TryGetValue((length, window, chunk), out var mask)) return mask;
        mask = BandMask(length, length, window, chunk, _device);
        return _masks[(length, window, chunk)] = mask.MoveToOuterDisposeScope();
    }

    /// <summary>The same where the last <paramref name="queries"/> of <paramref name="keys"/> tokens ask. [queries, keys].</summary>
    public static Tensor BandMask(int queries, int keys, int? window, int? chunk, Device device)
    {
        using var scope = NewDisposeScope();
        var i = arange(keys - queries, keys, dtype: ScalarType.Int64, device: device).unsqueeze(1);
        var j = arange(keys, dtype: ScalarType.Int64, device: device).unsqueeze(0);
        var mask = (i - j).ge(0);
        if (window is { } near) mask = mask.logical_and((i - j).lt(near));
        if (chunk is { } block) mask = mask.logical_and((i / block).floor().eq((j / block).floor()));
        return mask.MoveToOuterDisposeScope();
    }

    // Cosines and sines [T, rotated / 2]. Frequencies may depend on the length of the text, and each text has its own.
    private static (Tensor Cos, Tensor Sin) Tables(RopeConfig rope, TokenBatch batch, Tensor positions)
    {
        if (batch.TextLengths.Length <= 1 || !RopeTable.DependsOnLength(rope))
        {
            var longest = batch.Positions.Max() + 1;
            return Turns(rope, batch.TextLengths is [var whole] ? Math.Max(longest, whole) : longest, positions);
        }
        var parts = batch.TextLengths.Select((length, s) => Turns(rope, length,
            positions.narrow(0, batch.SegmentStarts[s], batch.SegmentStarts[s + 1] - batch.SegmentStarts[s]))).ToList();
        return (cat([.. parts.Select(part => part.Cos)], 0), cat([.. parts.Select(part => part.Sin)], 0));
    }

    private static (Tensor Cos, Tensor Sin) Turns(RopeConfig rope, int length, Tensor positions)
    {
        var (frequencies, multiplier) = RopeTable.Make(rope, length);
        var angles = positions * tensor(frequencies, dtype: ScalarType.Float32, device: positions.device).unsqueeze(0);
        var (cos, sin) = (angles.cos(), angles.sin());
        return multiplier == 1 ? (cos, sin) : (cos * multiplier, sin * multiplier);
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
