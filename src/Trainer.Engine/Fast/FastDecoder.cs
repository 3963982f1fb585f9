namespace Trainer.Engine.Fast;

/// <summary>Decodes with the hand-written engine: weights are read as they are stored, all memory is there before the token.</summary>
internal sealed class FastDecoder(LoadedDecoder model, FastEngine engine) : ITokenDecoder
{
    private readonly KeyValues _past = engine.BeginText();
    private readonly float[] _logits = new float[model.Config.VocabularySize];

    public int Length => _past.Length;

    public Span<float> Next(int[] tokens, int textLength = 0)
    {
        engine.Continue(tokens, _past, textLength, _logits);
        return _logits;
    }

    public int Truncate(int length)
    {
        _past.Truncate(length);
        return length;
    }

    public void Dispose() => _past.Dispose();
}
