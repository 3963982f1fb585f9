namespace Trainer.Data.Reading;

/// <summary>A text whose beginning was read already, from its beginning.</summary>
/// <param name="head">What was read.</param>
/// <param name="rest">What follows.</param>
internal sealed class Rejoined(string head, System.IO.TextReader rest) : System.IO.TextReader
{
    private int _at;

    public override int Peek() => _at < head.Length ? head[_at] : rest.Peek();

    public override int Read() => _at < head.Length ? head[_at++] : rest.Read();

    public override int Read(char[] buffer, int index, int count)
    {
        if (_at == head.Length) return rest.Read(buffer, index, count);
        var taken = Math.Min(count, head.Length - _at);
        head.CopyTo(_at, buffer, index, taken);
        _at += taken;
        return taken;
    }
}
