using Trainer.Data.Conversations;

namespace Trainer.Data.Chat;

/// <summary>Where reasoning is written.</summary>
internal enum ReasoningPlace
{
    /// <summary>Where the row has it.</summary>
    AsGiven,
    /// <summary>In the field that the template reads.</summary>
    Field,
    /// <summary>In front of the answer, between think tags.</summary>
    Content,

    /// <summary>In a part of its own in front of the answer's: <c>{"type": "thinking", "thinking": ...}</c>.</summary>
    Part,
}

/// <summary>How ids of calls are written.</summary>
internal enum CallIds
{
    /// <summary>As the row has them, or not at all.</summary>
    AsGiven,
    /// <summary>Nine letters and digits each, as Mistral's templates demand.</summary>
    Nine,
    /// <summary><c>functions.NAME:NUMBER</c>, as Kimi's templates read the name from it.</summary>
    Named,
}

/// <summary>One of the forms in which the same conversation can be handed to a template. Templates read some of them and lose or refuse the others.</summary>
internal sealed record ChatForm
{
    private static readonly Wordless?[] Wordlesses = [null, Conversations.Wordless.Empty, Conversations.Wordless.Null, Conversations.Wordless.Absent];
    private static readonly bool[] Either = [false, true];

    /// <summary>How the content of a turn that only calls is written; null writes it as the row does.</summary>
    public Wordless? Wordless { get; init; }

    /// <summary>Arguments as JSON text: some templates write them as they are.</summary>
    public bool TextArguments { get; init; }

    /// <summary>How ids are written.</summary>
    public CallIds Ids { get; init; }

    /// <summary>Content as a list with one part: templates of models that see read only that.</summary>
    public bool Parts { get; init; }

    /// <summary>Where reasoning is written.</summary>
    public ReasoningPlace Reasoning { get; init; }

    /// <summary>The forms worth a try for a conversation, the plainest first.</summary>
    /// <param name="turns">The conversation.</param>
    /// <param name="traits">Where the template looks for reasoning, among others.</param>
    public static IEnumerable<ChatForm> Of(IReadOnlyList<Turn> turns, TemplateTraits traits)
    {
        var calls = turns.Any(turn => turn.Calls.Count > 0);
        var wordless = turns.Any(turn => turn.Calls.Count > 0 && turn.Content.Length == 0) ? Wordlesses : Wordlesses[..1];
        // A message that is rendered letter for letter keeps its null.
        if (wordless.Length > 1 && traits.PrintsNone && turns.Any(turn => turn is { WrittenAs: Conversations.Wordless.Null, AsGiven: null }))
            wordless = [Conversations.Wordless.Empty, Conversations.Wordless.Absent];
        var ids = calls ? Enum.GetValues<CallIds>() : [CallIds.AsGiven];
        var reasoning = Places(turns, traits);
        return from parts in Either
               from id in ids
               from text in calls ? Either : Either[..1]
               from empty in wordless
               from thought in reasoning
               let form = new ChatForm { Wordless = empty, TextArguments = text, Ids = id, Parts = parts, Reasoning = thought }
               orderby form.Changes
               select form;
    }

    /// <summary>Where the row has it, then where the template looks for it. Think tags are no words of a template that has marks of its own for thoughts: there
    /// the row's tags become those.</summary>
    private static ReasoningPlace[] Places(IReadOnlyList<Turn> turns, TemplateTraits traits)
    {
        if (!turns.Any(turn => turn.Reasoning is not null)) return [ReasoningPlace.AsGiven];
        var isTagged = turns.Any(turn => turn is { Reasoning: not null, ReasoningField: null, AsGiven: null });
        if (isTagged && traits.HasOwnThoughts) return [traits.ReasoningPlace];
        return traits.ReasoningPlace == ReasoningPlace.AsGiven ? [ReasoningPlace.AsGiven] : [ReasoningPlace.AsGiven, traits.ReasoningPlace];
    }

    /// <summary>Whether this form may keep what another one loses.</summary>
    /// <param name="losses">What the other one loses.</param>
    /// <param name="other">The other one.</param>
    /// <param name="printsPython">Whether arguments of the other one stand in the text as Python prints them.</param>
    public bool MayMend(IReadOnlyList<Loss> losses, ChatForm other, bool printsPython)
    {
        if (printsPython && this == other with { TextArguments = true }) return true;
        if (losses.All(loss => !loss.IsPiece || loss.What == "reasoning")) return this with { Reasoning = other.Reasoning } == other;
        return losses.Any(loss => loss.What == "content") || Parts == other.Parts;
    }

    /// <summary>What this form changed of a row, where a user may want to know.</summary>
    public IEnumerable<string> Notes(IReadOnlyList<Turn> turns)
    {
        if (Ids != CallIds.AsGiven && turns.Any(turn => turn.Calls.Any(call => call["id"] is not null)))
            yield return "ids of tool calls were made anew: the chat template takes no others";
        if (TextArguments && turns.Any(turn => turn.Calls.Count > 0))
            yield return "arguments of tool calls are written as JSON text: the chat template takes no object";
        if (Reasoning == ReasoningPlace.Content && turns.Any(turn => turn.ReasoningField is not null))
            yield return "reasoning is written as <think> text: the chat template reads no field of it";
    }

    private int Changes => (Wordless is null ? 0 : 1) + (TextArguments ? 1 : 0) + (Ids == CallIds.AsGiven ? 0 : 1) + (Parts ? 2 : 0)
        + (Reasoning == ReasoningPlace.AsGiven ? 0 : 1);
}
