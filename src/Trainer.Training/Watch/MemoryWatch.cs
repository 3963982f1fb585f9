namespace Trainer.Training.Watch;

/// <summary>Watches resident memory against a limit, and its floor for growth that does not end.</summary>
/// <param name="limitBytes">The limit.</param>
/// <param name="isUsersLimit">Whether the user set it (<c>--max-memory</c>) or the machine has no more.</param>
/// <param name="ranks">How many ranks divide the machine, where the limit is its memory.</param>
/// <param name="windowSteps">Steps whose lowest value counts as one sample: batches differ, the floor does not.</param>
internal sealed class MemoryWatch(long limitBytes, bool isUsersLimit, int ranks = 1, int windowSteps = 50)
{
    private const int RisingWindows = 8;
    private readonly List<long> _floors = [];
    private long _windowFloor = long.MaxValue;
    private int _seen;

    /// <summary>Looks at one step.</summary>
    /// <param name="residentBytes">All that is resident, for the limit.</param>
    /// <param name="ownBytes">The part that no file backs, for growth: mapped weights and tokens become resident as they are read.</param>
    /// <param name="step">One-based optimizer step.</param>
    public string? Look(long residentBytes, long ownBytes, int step)
    {
        // Against the machine only what no file backs counts: it takes mapped pages back where it needs them.
        var held = isUsersLimit ? residentBytes : ownBytes;
        if (held > limitBytes)
            return $"resident memory {Size.Of(held)} is above "
                + $"{(isUsersLimit ? "--max-memory" : ranks > 1 ? $"what each of {ranks} ranks may have of this machine," : "what this machine has,")} "
                + $"{Size.Of(limitBytes)} at step {step}"
                + "; lower --batch-size or --max-seq-length, or set --gradient-checkpointing on";
        _windowFloor = Math.Min(_windowFloor, ownBytes);
        if (++_seen % windowSteps != 0) return null;
        _floors.Add(_windowFloor);
        _windowFloor = long.MaxValue;
        if (_floors.Count <= RisingWindows) return null;
        var recent = _floors.GetRange(_floors.Count - RisingWindows - 1, RisingWindows + 1);
        for (var i = 1; i < recent.Count; i++)
            if (recent[i] - recent[i - 1] < MinimumRise(recent[0])) return null;
        return "memory grew in each of the "
            + $"last {RisingWindows * windowSteps} steps, from {Size.Of(recent[0])} to {Size.Of(recent[^1])} at step {step}, and would not have stopped"
            + "; resume continues from the checkpoint, please report this";
    }

    // One per cent and 8 MiB a window: a heap that settles grows by less, a leak of one activation a step by more.
    private static long MinimumRise(long floor) => Math.Max(8L << 20, floor / 100);
}
