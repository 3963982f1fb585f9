using Trainer.Engine.Generation;

namespace Trainer.Engine.Reference;

/// <summary>A text of the engine with torch operators: every family and variant, any device.</summary>
internal sealed class ReferenceDecoder : ITokenDecoder
{
    private readonly ReferenceEngine _engine;
    private readonly int _vocabulary;
    private float[]? _logits;

    public ReferenceDecoder(LoadedDecoder model)
        : this(new ReferenceEngine(model), new KvCache(model.Layers.Count), model.Config.VocabularySize)
    {
    }

    private ReferenceDecoder(ReferenceEngine engine, KvCache cache, int vocabulary) => (_engine, Cache, _vocabulary) = (engine, cache, vocabulary);

    public int Length => Cache.Length;

    public long Bytes => Cache.Bytes;

    /// <summary>What the layers keep of the text.</summary>
    public KvCache Cache { get; }

    public Span<float> Next(int[] tokens, int textLength = 0)
    {
        _logits ??= new float[_vocabulary];
        _engine.Continue([new TextPart(this, tokens, textLength)], _logits);
        return _logits;
    }

    public int Truncate(int length) => Cache.Truncate(length);

    public ITokenDecoder Branch(int length, int room) => new ReferenceDecoder(_engine, Cache.Branch(length, room), _vocabulary);

    public void Dispose() => Cache.Dispose();
}
