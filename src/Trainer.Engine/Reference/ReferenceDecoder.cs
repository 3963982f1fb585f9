using static TorchSharp.torch;

namespace Trainer.Engine;

/// <summary>Decodes with torch operators: every family and variant, any device.</summary>
internal sealed class ReferenceDecoder(LoadedDecoder model) : ITokenDecoder
{
    private readonly ReferenceEngine _engine = new(model);
    private readonly KvCache _cache = new(model.Layers.Count);
    private readonly float[] _logits = new float[model.Config.VocabularySize];

    public int Length => _cache.Length;

    public Span<float> Next(int[] tokens, int textLength = 0)
    {
        using var onDevice = _engine.LastLogits(TokenBatch.Continuation(tokens, _cache.Length, textLength), _cache);
        using var logits = onDevice.to(CPU);
        logits.data<float>().CopyTo(_logits);
        return _logits;
    }

    public int Truncate(int length) => _cache.Truncate(length);

    public void Dispose()
    {
        _cache.Dispose();
        _engine.Dispose();
    }
}
