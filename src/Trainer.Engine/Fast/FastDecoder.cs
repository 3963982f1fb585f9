namespace Trainer.Engine.Fast;

/// <summary>Decodes with the hand-written engine: weights are read as they are stored, all memory is there before the token.</summary>
internal sealed unsafe class FastDecoder(CausalModel model, FastEngine engine) : ITokenDecoder
{
    private readonly KeyValues _past = new(new FastShape(model.Config));
    private readonly NativeBlock _logits = new(model.Config.VocabularySize * sizeof(float));

    public int Length => _past.Length;

    public Span<float> Next(int[] tokens, int textLength = 0)
    {
        engine.Continue(tokens, _past, textLength, (float*)_logits.Start);
        return new Span<float>(_logits.Start, model.Config.VocabularySize);
    }

    public int Truncate(int length)
    {
        _past.Truncate(length);
        return length;
    }

    public void Dispose()
    {
        _past.Dispose();
        _logits.Dispose();
    }
}
