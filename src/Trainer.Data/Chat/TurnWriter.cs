using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Data.Conversations;

namespace Trainer.Data.Chat;

/// <summary>Writes turns as the JSON that templates read, in one form, with words in place of pieces where asked.</summary>
internal sealed class TurnWriter
{
    private const string IdLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

    private static readonly ChatForm Plain = new();

    private readonly IReadOnlyList<Turn> _turns;
    private readonly ChatForm _form;
    private readonly TemplateTraits _traits;
    private readonly Dictionary<(int Turn, int Call), string> _ids = [];
    private readonly Dictionary<int, (string? Id, string Name)> _answers = [];

    public TurnWriter(IReadOnlyList<Turn> turns, ChatForm form, TemplateTraits traits)
    {
        (_turns, _form, _traits) = (turns, form, traits);
        Link();
    }

    /// <summary>The first <paramref name="count"/> messages.</summary>
    /// <param name="count">How many.</param>
    /// <param name="marks">Collects words for the pieces, or null to write them as they are.</param>
    /// <param name="isMarked">Which turns have words.</param>
    /// <param name="plain">A turn that is reduced to its words, or -1.</param>
    public JsonElement Write(int count, Marks? marks = null, Func<int, bool>? isMarked = null, int plain = -1)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(bytes))
        {
            writer.WriteStartArray();
            for (var i = 0; i < count; i++) Write(writer, i, marks is not null && (isMarked is null || isMarked(i)) ? marks : null, i == plain);
            writer.WriteEndArray();
        }
        return JsonDocument.Parse(bytes.WrittenMemory).RootElement;
    }

    private void Write(Utf8JsonWriter writer, int i, Marks? marks, bool plain)
    {
        var turn = _turns[i];
        if (turn.AsGiven is { } given && marks is null && !plain && _form == Plain)
        {
            given.WriteTo(writer);
            return;
        }
        writer.WriteStartObject();
        writer.WriteString("role", turn.Role);
        if (plain)
        {
            WriteContent(writer, marks is null ? "x" : marks.Word(i, PieceKind.Content, turn.Content));
            writer.WriteEndObject();
            return;
        }
        Content(writer, i, turn, marks);
        if (turn.Calls.Count > 0) Calls(writer, i, turn, marks);
        foreach (var (key, value) in turn.Other)
        {
            if (_answers.ContainsKey(i) && key is "tool_call_id" || value is null) continue;
            writer.WritePropertyName(key);
            value.WriteTo(writer);
        }
        if (_answers.TryGetValue(i, out var answer))
        {
            if (answer.Id is { } id) writer.WriteString("tool_call_id", id);
            if (_form.Ids != CallIds.AsGiven && !turn.Other.ContainsKey("name")) writer.WriteString("name", answer.Name);
        }
        writer.WriteEndObject();
    }

    private void Content(Utf8JsonWriter writer, int i, Turn turn, Marks? marks)
    {
        var place = _form.Reasoning == ReasoningPlace.AsGiven && turn.ReasoningField is null ? ReasoningPlace.Content : _form.Reasoning;
        var thought = turn.Reasoning;
        if (thought is not null && marks is not null && turn.HasReasoning) thought = marks.Word(i, PieceKind.Reasoning, thought);
        var said = turn.Content;
        if (marks is not null && (said.Trim().Length > 0 || turn.Calls.Count == 0)) said = marks.Word(i, PieceKind.Content, said);
        if (thought is not null && place == ReasoningPlace.Part)
        {
            WriteParts(writer, ("thinking", thought), ("text", said));
            return;
        }
        if (thought is not null && place != ReasoningPlace.Content)
        {
            var fields = _form.Reasoning == ReasoningPlace.AsGiven
                ? [turn.ReasoningField!] : _traits.ReasoningFields.Count > 0 ? _traits.ReasoningFields : ["reasoning_content"];
            foreach (var field in fields) writer.WriteString(field, thought);
        }
        else if (thought is not null)
        {
            WriteContent(writer, turn.Verbatim is not { } verbatim || _form.Reasoning != ReasoningPlace.AsGiven ? ThinkText.Join(thought, said)
                : marks is null ? verbatim : ThinkText.With(verbatim, thought, said));
            return;
        }
        var wordless = said.Length == 0 && turn.Calls.Count > 0 ? _form.Wordless ?? turn.WrittenAs : Wordless.Empty;
        if (wordless == Wordless.Null) writer.WriteNull("content");
        else if (wordless == Wordless.Empty) WriteContent(writer, said);
    }

    private void WriteContent(Utf8JsonWriter writer, string content)
    {
        if (!_form.Parts)
        {
            writer.WriteString("content", content);
            return;
        }
        WriteParts(writer, ("text", content));
    }

    private static void WriteParts(Utf8JsonWriter writer, params ReadOnlySpan<(string Type, string Text)> parts)
    {
        writer.WriteStartArray("content");
        foreach (var (type, text) in parts)
        {
            if (text.Length == 0 && parts.Length > 1) continue;
            writer.WriteStartObject();
            writer.WriteString("type", type);
            writer.WriteString(type, text);
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
    }

    private void Calls(Utf8JsonWriter writer, int i, Turn turn, Marks? marks)
    {
        writer.WriteStartArray("tool_calls");
        for (var c = 0; c < turn.Calls.Count; c++)
        {
            var call = marks is null ? (JsonObject)turn.Calls[c].DeepClone() : marks.Call(i, turn.Calls[c]);
            if (_form.TextArguments && call["function"] is JsonObject function && function["arguments"] is { } arguments)
                function["arguments"] = PythonJson.Text(JsonSerializer.SerializeToElement(arguments));
            if (_ids.TryGetValue((i, c), out var id))
                call["id"] = _form.Ids == CallIds.Named && marks is not null ? NamedId(call["function"]?["name"]?.ToString() ?? "", id) : id;
            call.WriteTo(writer);
        }
        writer.WriteEndArray();
    }

    /// <summary>Gives calls their ids, and answers the id and the name of their call: by the id they name, else in the order they come.</summary>
    private void Link()
    {
        var open = new List<(string? Given, string? Id, string Name)>();
        var number = 0;
        for (var i = 0; i < _turns.Count; i++)
        {
            var turn = _turns[i];
            if (turn.Calls.Count > 0)
            {
                open.Clear();
                for (var c = 0; c < turn.Calls.Count; c++)
                {
                    var (given, name) = (turn.Calls[c]["id"]?.ToString(), turn.Calls[c]["function"]?["name"]?.ToString() ?? "");
                    var id = Id(turn.Calls[c], given, name, number++);
                    if (id is not null) _ids[(i, c)] = id;
                    open.Add((given, id ?? given, name));
                }
            }
            else if (!turn.IsAssistant && open.Count > 0 && turn.Role is not (Turn.User or Turn.System or Turn.Developer))
            {
                var asked = turn.Other["tool_call_id"]?.ToString();
                var at = asked is null ? -1 : open.FindIndex(each => each.Given == asked);
                if (at < 0 && asked is null && turn.Other["name"]?.ToString() is { } named) at = open.FindIndex(each => each.Name == named);
                var call = open[Math.Max(at, 0)];
                _answers[i] = (_form.Ids == CallIds.AsGiven && !_traits.ReadsCallIds ? asked : call.Id ?? asked, call.Name);
                open.RemoveAt(Math.Max(at, 0));
            }
        }
    }

    private string? Id(JsonObject call, string? given, string name, int number) => _form.Ids switch
    {
        CallIds.AsGiven when given is not null || !_traits.ReadsCallIds => null,
        CallIds.Named => $"functions.{name}:{number}",
        _ => _form.Ids == CallIds.AsGiven && _traits.NamesCallsById ? $"functions.{name}:{number}" : Nine(call, number),
    };

    private static string NamedId(string name, string id) => $"functions.{name}{id[id.LastIndexOf(':')..]}";

    /// <summary>Nine letters and digits that follow from the call and its place: the same row has the same ids in every run.</summary>
    private static string Nine(JsonObject call, int number)
    {
        var digest = SHA256.HashData(Encoding.UTF8.GetBytes($"{number} {call["function"]?.ToJsonString()}"));
        return string.Create(9, digest, static (letters, bytes) =>
        {
            for (var i = 0; i < letters.Length; i++) letters[i] = IdLetters[bytes[i] % IdLetters.Length];
        });
    }
}
