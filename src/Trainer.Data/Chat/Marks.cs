using System.Text.Json.Nodes;

namespace Trainer.Data.Chat;

/// <summary>Kinds of what a turn says.</summary>
internal enum PieceKind
{
    /// <summary>Words.</summary>
    Content,
    /// <summary>What is thought before them.</summary>
    Reasoning,
    /// <summary>A name or an argument of a tool call.</summary>
    Call,
}

/// <summary>A piece of a conversation and the word that stands for it.</summary>
internal sealed record Piece(int Turn, PieceKind Kind, string Word, string Text);

/// <summary>Words that stand for the pieces of a conversation, so that a template shows where it writes each.</summary>
/// <param name="salt">Letters that make the words unlike anything in the conversation.</param>
/// <param name="names">Whether names of calls get words too.</param>
/// <param name="only">The one kind of pieces that gets words, or null for all.</param>
internal sealed class Marks(string salt, bool names = true, PieceKind? only = null)
{
    private const string Digits = "91827364"; // begins the numbers that stand for numbers
    private readonly List<Piece> _pieces = [];
    private readonly bool _digits = !salt.EndsWith("nodigits", StringComparison.Ordinal);

    public IReadOnlyList<Piece> Pieces => _pieces;

    /// <summary>Letters for words that a text does not hold.</summary>
    public static string Salt(string text)
    {
        var salt = "zqmark";
        if (text.Contains(Digits, StringComparison.Ordinal)) return salt + "nodigits";
        while (text.Contains(salt, StringComparison.OrdinalIgnoreCase)) salt += "q";
        return salt;
    }

    /// <summary>Where words stand in a text, in its order.</summary>
    public List<(int Start, int End, int Piece)> Places(string text)
    {
        var places = new List<(int Start, int End, int Piece)>();
        Add(salt, closed: true);
        if (_digits) Add(Digits, closed: false);
        if (_digits) places.Sort();
        return places;

        void Add(string prefix, bool closed)
        {
            for (var at = text.IndexOf(prefix, StringComparison.Ordinal); at >= 0; at = text.IndexOf(prefix, at + prefix.Length, StringComparison.Ordinal))
            {
                var (end, number) = (at + prefix.Length, 0);
                while (end < text.Length && char.IsAsciiDigit(text[end]) && number < _pieces.Count) number = 10 * number + (text[end++] - '0');
                if (closed) end++;
                if (number < _pieces.Count && end - at == _pieces[number].Word.Length
                    && string.CompareOrdinal(text, at, _pieces[number].Word, 0, end - at) == 0) places.Add((at, end, number));
            }
        }
    }

    /// <summary>A new word, or the text itself where its kind has none.</summary>
    public string Word(int turn, PieceKind kind, string text)
    {
        if (only is not null && kind != only) return text;
        var word = $"{salt}{_pieces.Count}z";
        _pieces.Add(new Piece(turn, kind, word, text));
        return word;
    }

    /// <summary>A copy of a call with a word for its name and for each text among its arguments.</summary>
    public JsonObject Call(int turn, JsonObject call)
    {
        var copy = (JsonObject)call.DeepClone();
        if (copy["function"] is not JsonObject function) return copy;
        // In the order of the text, so that the first and the last word are the first and the last in it.
        foreach (var (key, value) in function.ToArray())
        {
            if (key == "name" && names) function[key] = Word(turn, PieceKind.Call, value?.ToString() ?? "");
            else if (key == "arguments") function[key] = Leaves(turn, value);
        }
        return copy;
    }

    private JsonNode? Leaves(int turn, JsonNode? node)
    {
        switch (node)
        {
            case JsonObject map:
                foreach (var (key, value) in map.ToArray()) map[key] = Leaves(turn, value);
                return map.Parent is null ? map : map.DeepClone();
            case JsonArray list:
                for (var i = 0; i < list.Count; i++) list[i] = Leaves(turn, list[i]);
                return list.Parent is null ? list : list.DeepClone();
            case JsonValue text when text.GetValueKind() == System.Text.Json.JsonValueKind.String && text.GetValue<string>().Trim().Length > 0:
                return JsonValue.Create(Word(turn, PieceKind.Call, text.GetValue<string>()));
            case JsonValue number when number.GetValueKind() == System.Text.Json.JsonValueKind.Number && _digits && (only is null or PieceKind.Call):
                var digits = $"{Digits}{_pieces.Count:000}";
                _pieces.Add(new Piece(turn, PieceKind.Call, digits, number.ToJsonString()));
                return JsonNode.Parse(digits);
            default:
                return node?.DeepClone();
        }
    }
}
