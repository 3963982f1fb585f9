using System.Text.Json;

namespace Trainer.Data.Conversations;

/// <summary>A conversation as rows of every dialect give it after normalizing.</summary>
/// <param name="Turns">Its messages.</param>
internal sealed record ChatRow(IReadOnlyList<Turn> Turns)
{
    /// <summary>Where the turns of the last list of messages begin: behind those of the prompt, where a row has both.</summary>
    public int LastList { get; init; }

    /// <summary>A JSON array of tools, each <c>{"type": "function", "function": {...}}</c>; null where there is none.</summary>
    public JsonElement? Tools { get; init; }

    /// <summary>Template variables that the row sets (<c>chat_template_kwargs</c>).</summary>
    public IReadOnlyDictionary<string, JsonElement> Variables { get; init; } = new Dictionary<string, JsonElement>();

    /// <summary>What normalizing changed and a user may want to know.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>The row with its reasoning kept as asked; the last is that of all turns behind the last question, as templates that drop the rest keep
    /// it.</summary>
    public ChatRow With(Reasoning keep)
    {
        if (keep == Reasoning.Keep || !Turns.Any(turn => turn.Reasoning is not null)) return this;
        var from = keep == Reasoning.Strip ? Turns.Count : Turns.ToList().FindLastIndex(turn => turn.Role == Turn.User);
        return this with { Turns = [.. Turns.Select((turn, i) => i > from ? turn : turn.WithoutReasoning())] };
    }
}
