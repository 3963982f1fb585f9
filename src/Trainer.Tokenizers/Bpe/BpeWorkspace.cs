namespace Trainer.Tokenizers.Bpe;

/// <summary>What one thread needs while it encodes; kept between calls, never shared.</summary>
internal sealed class BpeWorkspace
{
    public SymbolList Symbols { get; } = new();

    public PieceCache Cache { get; } = new();
}
