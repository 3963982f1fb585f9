namespace Trainer.Tokenizers.Patterns;

/// <summary>Matches found in a text, in order and without overlap; reused from piece to piece.</summary>
internal sealed class MatchList
{
    private (int Begin, int End)[] _items = new (int, int)[256];

    public int Count { get; private set; }

    public (int Begin, int End) this[int index] => _items[index];

    public void Clear() => Count = 0;

    public void Add(int begin, int end)
    {
        if (Count == _items.Length)
            Array.Resize(ref _items, Count * 2);
        _items[Count++] = (begin, end);
    }
}
