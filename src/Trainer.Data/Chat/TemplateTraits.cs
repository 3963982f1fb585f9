using System.Text.Json;
using System.Text.RegularExpressions;
using Trainer.Data.Conversations;
using Trainer.Templates;

namespace Trainer.Data.Chat;

/// <summary>What a template's source says of the names it reads.</summary>
internal sealed partial class TemplateTraits(ChatTemplate template)
{
    private static readonly string[] Fields = ["reasoning_content", "reasoning", "thinking", "thought"];
    private static readonly string[] Nulls = ["None", "null"];
    private const string Word = "zqthoughtz";
    private const string Call = """ "tool_calls":[{"id":"abcdefghi","type":"function","function":{"name":"f","arguments":{"a":"b"}}}] """;
    private readonly Lazy<bool> _readsFields =
        new(() => Shows(template, $"\"content\":\"x\",{string.Join(',', Fields.Select(field => $"\"{field}\":\"{Word}\""))}"));
    private readonly Lazy<bool> _printsNone = new(() => Array.Exists(Nulls, word => Prints(template, "null", word) && !Prints(template, "\"\"", word)));
    private readonly Lazy<ReasoningPlace> _place = new(() => Place(template));
    private readonly Dictionary<string, bool> _roles =
        new[] { Turn.Developer, Turn.Tool, "function", "ipython", "observation", "tool_response" }.ToDictionary(role => role, role => Quotes(template, role));

    /// <summary>Fields in which the template looks for reasoning.</summary>
    public IReadOnlyList<string> ReasoningFields { get; } = Read(template);

    /// <summary>Where the template looks for reasoning: in fields, in parts, else in the answers' own text where it knows think tags.</summary>
    public ReasoningPlace ReasoningPlace => _place.Value;

    /// <summary>Whether the template writes thoughts between marks of its own and knows no think tags.</summary>
    public bool HasOwnThoughts => ReasoningPlace is ReasoningPlace.Field or ReasoningPlace.Part && !template.Source.Contains("think>", StringComparison.Ordinal)
        && (ReasoningPlace == ReasoningPlace.Part || _readsFields.Value);

    /// <summary>Whether the template writes the content of a turn that only calls, where it is null, as Python or JSON print null: the word would be
    /// learnt.</summary>
    public bool PrintsNone => _printsNone.Value;

    /// <summary>Whether the template reads the ids of calls.</summary>
    public bool ReadsCallIds { get; } = Ids().IsMatch(template.Source);

    /// <summary>Whether the template takes a call's name out of its id.</summary>
    public bool NamesCallsById { get; } = template.Source.Contains("tool_call_argument_begin", StringComparison.Ordinal);

    /// <summary>The conversation in roles that the template has, and the place that each of its turns had before.</summary>
    /// <exception cref="ChatMaskException">A role that it has not.</exception>
    public (IReadOnlyList<Turn> Turns, IReadOnlyList<int> Places, IReadOnlyList<string> Notes) Fit(IReadOnlyList<Turn> turns)
    {
        if (turns.All(turn => turn.Role is Turn.System or Turn.User or Turn.Assistant)) return (turns, [.. Enumerable.Range(0, turns.Count)], []);
        var (fitted, places, notes) = (new List<Turn>(turns.Count), new List<int>(turns.Count), new List<string>());
        for (var place = 0; place < turns.Count; place++)
        {
            var turn = turns[place];
            var role = turn.Role;
            if (!Roles.IsCommon(role) && !Quotes(template, role))
                throw new ChatMaskException(ChatFault.NotRendered, $"message {place + 1} has the role '{role}', which the chat template does not know",
                    "use system, user, assistant or tool, or pass a template that knows it with --chat-template FILE");
            if (role == Turn.Developer && !_roles[Turn.Developer])
            {
                role = Turn.System;
                notes = ["turns of the role 'developer' are written as 'system': the chat template has no developer"];
                // One system prompt is all that many templates take.
                if (fitted.Count > 0 && fitted[^1].Role == Turn.System)
                {
                    fitted[^1] = fitted[^1] with { Content = fitted[^1].Content + "\n\n" + turn.Content };
                    continue;
                }
            }
            if (role == Turn.Tool && !_roles[Turn.Tool]) role = _roles.FirstOrDefault(known => known.Value && known.Key != Turn.Developer).Key ?? role;
            fitted.Add(role == turn.Role ? turn : turn with { Role = role });
            places.Add(place);
        }
        return (fitted, places, notes);
    }

    private static string[] Read(ChatTemplate template)
        => [.. Fields.Where(field => Regex.IsMatch(template.Source, $@"(?:\.|\[\s*['""]|get\(\s*['""]|['""]){field}\b"))];

    private static ReasoningPlace Place(ChatTemplate template)
    {
        if (template.Source.Contains("'thinking'", StringComparison.Ordinal) && !Shows(template, $"\"content\":\"x\",\"thinking\":\"{Word}\"")
            && Shows(template, $"\"content\":[{{\"type\":\"thinking\",\"thinking\":\"{Word}\"}},{{\"type\":\"text\",\"text\":\"x\"}}]"))
                return ReasoningPlace.Part;
        return Read(template).Length > 0 ? ReasoningPlace.Field
            : template.Source.Contains("</think>", StringComparison.Ordinal) ? ReasoningPlace.Content : ReasoningPlace.AsGiven;
    }

    private static bool Prints(ChatTemplate template, string content, string word)
    {
        try
        {
            using var messages = JsonDocument.Parse($$"""[{"role":"user","content":"q"},{"role":"assistant","content":{{content}},{{Call}}}]""");
            return template.Render(new TemplateInput { Messages = messages.RootElement }).Text.Contains(word, StringComparison.Ordinal);
        }
        catch (TemplateException)
        {
            return false;
        }
    }

    /// <summary>Whether the template writes a thought of an answer, or of a call, that is given so.</summary>
    private static bool Shows(ChatTemplate template, string fields)
    {
        foreach (var rest in new[] { "", "," + Call })
            try
            {
                using var messages = JsonDocument.Parse($$"""[{"role":"user","content":"q"},{"role":"assistant",{{fields}}{{rest}}}]""");
                var text = template.Render(new TemplateInput { Messages = messages.RootElement }).Text;
                if (text.Contains(Word, StringComparison.Ordinal) && !text.Contains("{'type': '", StringComparison.Ordinal)) return true;
            }
            catch (TemplateException)
            {
                // It takes no such conversation.
            }
        return false;
    }

    private static bool Quotes(ChatTemplate template, string word) =>
        template.Source.Contains($"'{word}'", StringComparison.Ordinal) || template.Source.Contains($"\"{word}\"", StringComparison.Ordinal);

    [GeneratedRegex(@"tool_call_id|(?:call|tool)s?(?:\.id\b|\[\s*['""]id['""])", RegexOptions.CultureInvariant)]
    private static partial Regex Ids();
}
