using System.Globalization;
using System.Text;

namespace Trainer.Cli.Rendering;

/// <summary>Text that is being typed, with a cursor and the lines typed before. It knows keys and no terminal.</summary>
internal sealed class LineBuffer(List<string> history)
{
    private readonly StringBuilder _text = new();
    private int _past = history.Count;
    private string _unfinished = "";

    /// <summary>What became of a key.</summary>
    public enum Outcome
    {
        Edited,
        Done,
        End,
    }

    public string Text => _text.ToString();

    /// <summary>Where the next letter goes, counted in UTF-16 units; never inside a character.</summary>
    public int Cursor { get; private set; }

    /// <param name="key">The key.</param>
    /// <param name="isMoreComing">Whether more keys wait: the end of a line is then pasted, not typed.</param>
    public Outcome Press(ConsoleKeyInfo key, bool isMoreComing)
    {
        var (control, alt) = (key.Modifiers.HasFlag(ConsoleModifiers.Control), key.Modifiers.HasFlag(ConsoleModifiers.Alt));
        switch (key.Key)
        {
            case ConsoleKey.Enter when alt || isMoreComing: Insert("\n"); break;
            case ConsoleKey.Enter when Cursor == _text.Length && Cursor > 0 && _text[Cursor - 1] == '\\':
                // A backslash at the end goes on in a new line, as in a shell.
                Remove(Cursor - 1, Cursor);
                Insert("\n");
                break;
            case ConsoleKey.Enter: return Outcome.Done;
            case ConsoleKey.D when control && _text.Length == 0: return Outcome.End;
            case ConsoleKey.D when control: Remove(Cursor, Next(Cursor)); break;
            case ConsoleKey.Delete: Remove(Cursor, Next(Cursor)); break;
            case ConsoleKey.Backspace when alt: Remove(WordBefore(), Cursor); break;
            case ConsoleKey.Backspace: Remove(Previous(Cursor), Cursor); break;
            case ConsoleKey.W when control: Remove(WordBefore(), Cursor); break;
            case ConsoleKey.U when control: Remove(LineStart(), Cursor); break;
            case ConsoleKey.K when control: Remove(Cursor, LineEnd()); break;
            case ConsoleKey.LeftArrow when control || alt: Cursor = WordBefore(); break;
            case ConsoleKey.RightArrow when control || alt: Cursor = WordBehind(); break;
            case ConsoleKey.LeftArrow: Cursor = Previous(Cursor); break;
            case ConsoleKey.RightArrow: Cursor = Next(Cursor); break;
            case ConsoleKey.Home: Cursor = LineStart(); break;
            case ConsoleKey.End: Cursor = LineEnd(); break;
            case ConsoleKey.A when control: Cursor = LineStart(); break;
            case ConsoleKey.E when control: Cursor = LineEnd(); break;
            case ConsoleKey.B when control: Cursor = Previous(Cursor); break;
            case ConsoleKey.F when control: Cursor = Next(Cursor); break;
            case ConsoleKey.UpArrow: Recall(_past - 1); break;
            case ConsoleKey.DownArrow: Recall(_past + 1); break;
            case ConsoleKey.P when control: Recall(_past - 1); break;
            case ConsoleKey.N when control: Recall(_past + 1); break;
            case ConsoleKey.Tab: Insert("\t"); break;
            default:
                if (!char.IsControl(key.KeyChar)) Insert(key.KeyChar.ToString());
                break;
        }
        return Outcome.Edited;
    }

    private void Insert(string text)
    {
        _text.Insert(Cursor, text);
        Cursor += text.Length;
    }

    private void Remove(int from, int to)
    {
        _text.Remove(from, to - from);
        Cursor = from;
    }

    private void Recall(int at)
    {
        if (at < 0 || at > history.Count) return;
        if (_past == history.Count) _unfinished = Text;
        _past = at;
        _text.Clear().Append(at == history.Count ? _unfinished : history[at]);
        Cursor = _text.Length;
    }

    // A character may be several units: a letter with its accents, an emoji with its colour.
    private int Next(int at) => at >= _text.Length ? at : at + StringInfo.GetNextTextElementLength(Text.AsSpan(at));

    private int Previous(int at)
    {
        var before = 0;
        for (var i = 0; i < at; i = Next(i)) before = i;
        return before;
    }

    private int LineStart() => Cursor == 0 ? 0 : Text.LastIndexOf('\n', Cursor - 1) + 1;

    private int LineEnd() => Text.IndexOf('\n', Cursor) is >= 0 and var end ? end : _text.Length;

    private int WordBefore()
    {
        var at = Cursor;
        while (at > 0 && char.IsWhiteSpace(_text[at - 1])) at--;
        while (at > 0 && !char.IsWhiteSpace(_text[at - 1])) at--;
        return at;
    }

    private int WordBehind()
    {
        var at = Cursor;
        while (at < _text.Length && char.IsWhiteSpace(_text[at])) at++;
        while (at < _text.Length && !char.IsWhiteSpace(_text[at])) at++;
        return at;
    }
}
