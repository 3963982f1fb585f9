using Trainer.Engine.Generation;

namespace Trainer.Engine.Fast;

/// <summary>A text of the hand-written engine: weights are read as they are stored, all memory is there before the token.</summary>
internal sealed class FastDecoder : ITokenDecoder
{
    private readonly FastEngine _engine;
    private readonly int _vocabulary;
    private float[]? _logits;

    public FastDecoder(LoadedDecoder model, FastEngine engine)
        : this(engine, engine.BeginText(), model.Config.VocabularySize)
    {
    }

    private FastDecoder(FastEngine engine, KeyValues past, int vocabulary) => (_engine, Past, _vocabulary) = (engine, past, vocabulary);

    public int Length => Past.Length;

    public long Bytes => Past.Bytes;

    /// <summary>Keys and values of the text.</summary>
    public KeyValues Past { get; }

    public Span<float> Next(int[] tokens, int textLength = 0)
    {
        _logits ??= new float[_vocabulary];
        _engine.Continue([new TextPart(this, tokens, textLength)], _logits);
        return _logits;
    }

    public int Truncate(int length) => Past.Truncate(length);

    public ITokenDecoder Branch(int length, int room) => new FastDecoder(_engine, Past.Branch(length, room), _vocabulary);

    public void Dispose() => Past.Dispose();
}
