using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast;

/// <summary>What mixers without keys and values keep of a text so far: a few rows or a matrix of each layer, zeros before the first token.</summary>
internal sealed class TextStates(IKernels kernels) : IDisposable
{
    private readonly Dictionary<(int Layer, string Name), DeviceMemory> _states = [];

    /// <summary>Whether there is any: a state knows no token but the last, so a text with one cannot be cut back.</summary>
    public bool Any => _states.Count > 0;

    /// <summary>A state of a layer, of as many floats.</summary>
    public Place Of(int layer, string name, long floats)
    {
        if (!_states.TryGetValue((layer, name), out var memory))
        {
            _states[(layer, name)] = memory = kernels.Allocate(Math.Max(1, floats) * sizeof(float));
            kernels.Fill(new Place(memory, 0), floats, 0f);
        }
        return new Place(memory, 0);
    }

    /// <summary>A state that holds the last rows of something: new rows push the oldest out.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="name">Which of its states.</param>
    /// <param name="rows">(tokens, width), dense.</param>
    /// <param name="tokens">New rows.</param>
    /// <param name="held">Rows of the state.</param>
    /// <param name="width">Length of a row.</param>
    public void Shift(int layer, string name, Place rows, long tokens, int held, int width)
    {
        var state = Of(layer, name, (long)held * width);
        for (var row = 0; row < held; row++)
        {
            var from = row + tokens;
            kernels.Copy(from < held ? state + from * width : rows + (from - held) * width, width, state + (long)row * width, width, width, 1);
        }
    }

    /// <summary>Gives another text the same states.</summary>
    public void CopyTo(TextStates other)
    {
        foreach (var ((layer, name), memory) in _states)
        {
            var floats = memory.Bytes / sizeof(float);
            kernels.Copy(new Place(memory, 0), floats, other.Of(layer, name, floats), floats, floats, 1);
        }
    }

    /// <summary>Forgets all.</summary>
    public void Clear()
    {
        foreach (var state in _states.Values) state.Dispose();
        _states.Clear();
    }

    public void Dispose() => Clear();
}
