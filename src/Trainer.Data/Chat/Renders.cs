using System.Text.Json;
using Trainer.Data.Conversations;
using Trainer.Templates;

namespace Trainer.Data.Chat;

/// <summary>The renders of one conversation and of its parts, in one form, with the same tools, variables and date.</summary>
internal sealed class Renders(ChatTemplate template, IReadOnlyList<Turn> turns, TurnWriter writer, JsonElement? tools,
    IReadOnlyDictionary<string, JsonElement>? variables, DateTime now)
{
    private const string Switch = "enable_thinking";
    private readonly Dictionary<(int Count, bool Prompt), string?> _parts = [];
    private readonly Dictionary<bool, MarkedText?> _all = [];
    private string? _salt;

    public IReadOnlyList<Turn> Turns => turns;

    public RenderedChat Whole() => Render(writer.Write(turns.Count), prompt: false);

    /// <summary>The whole text with a generation prompt.</summary>
    public string Prompt() => Render(writer.Write(turns.Count), prompt: true).Text;

    /// <summary>The text of the messages before one, or null where the template refuses such a part.</summary>
    public string? Before(int turn, bool prompt)
    {
        if (_parts.TryGetValue((turn, prompt), out var known)) return known;
        return _parts[(turn, prompt)] = Try(() => Render(writer.Write(turn), prompt).Text);
    }

    /// <summary>What the prompt adds before a message where the model is asked to think, or null where the template has no such switch.</summary>
    public string? ThinkingPrompt(int turn)
    {
        if (!template.Source.Contains(Switch, StringComparison.Ordinal)) return null;
        // The switch may change the text before the prompt, too.
        var with = new Dictionary<string, JsonElement>(variables ?? new Dictionary<string, JsonElement>());
        with[Switch] = JsonSerializer.SerializeToElement(true);
        string Text(bool prompt) => template.Render(Input(writer.Write(turn), prompt) with { Variables = with }).Text;
        return Try(() => Text(prompt: false)) is { } before && Try(() => Text(prompt: true)) is { } asked && asked.Length > before.Length
            && asked.StartsWith(before, StringComparison.Ordinal) ? asked[before.Length..] : null;
    }

    /// <summary>The whole text with words for the pieces of one turn (the names of its calls among them or not), or null where the template refuses
    /// it.</summary>
    /// <param name="turn">Whose pieces.</param>
    /// <param name="whole">The text itself, which holds none of the words.</param>
    /// <param name="names">Whether names of calls are among them.</param>
    /// <param name="kind">Which kind alone, or null for all.</param>
    public MarkedText? Marked(int turn, string whole, bool names, PieceKind? kind)
        => Marked(whole, turns.Count, i => i == turn, -1, names, kind, prompt: false);

    /// <summary>The whole text with words for all pieces, or null where the template refuses it.</summary>
    public MarkedText? AllMarked(string whole, bool names = true)
    {
        if (_all.TryGetValue(names, out var known)) return known;
        return _all[names] = Marked(whole, turns.Count, null, -1, names, null, prompt: false);
    }

    /// <summary>The same with one turn reduced to its words.</summary>
    public MarkedText? AllMarkedPlain(int turn, string whole) => Marked(whole, turns.Count, null, turn, names: true, null, prompt: false);

    /// <summary>The messages before one, all marked, with a generation prompt; the words are those of <see cref="AllMarked"/>.</summary>
    public MarkedText? PromptMarked(int turn, string whole) => Marked(whole, turn, null, -1, names: true, null, prompt: true);

    /// <summary>The messages up to one, all marked, as a conversation that ends there.</summary>
    public MarkedText? EndMarked(int turn, string whole) => Marked(whole, turn + 1, null, -1, names: true, null, prompt: false);

    private MarkedText? Marked(string whole, int count, Func<int, bool>? isMarked, int plain, bool names, PieceKind? kind, bool prompt)
    {
        var marks = new Marks(_salt ??= Marks.Salt(whole), names, kind);
        return Try(() => Render(writer.Write(count, marks, isMarked, plain), prompt).Text) is { } text ? new MarkedText(text, marks) : null;
    }

    private static string? Try(Func<string> render)
    {
        try
        {
            return render();
        }
        catch (TemplateException)
        {
            return null;
        }
    }

    private RenderedChat Render(JsonElement messages, bool prompt) => template.Render(Input(messages, prompt));

    private TemplateInput Input(JsonElement messages, bool prompt) => new()
    {
        Messages = messages,
        Tools = tools,
        AddGenerationPrompt = prompt,
        Variables = variables,
        Now = now,
    };
}
