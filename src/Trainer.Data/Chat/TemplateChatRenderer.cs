using System.Text.Json;
using Trainer.Data.Conversations;
using Trainer.Data.Rows;
using Trainer.Templates;
using Trainer.Tokenizers;

namespace Trainer.Data.Chat;

/// <summary>The chat templates of a model as the rows need them.</summary>
internal sealed class TemplateChatRenderer : IChatRenderer
{
    private readonly AssistantMaskBuilder _builder;
    private readonly IReadOnlyDictionary<string, JsonElement> _variables;
    private readonly HfTokenizer _tokenizer;

    /// <param name="templates">The model's templates.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="stopTokens">See <see cref="StopTokens"/>.</param>
    /// <param name="variables">Variables of every render, each as JSON.</param>
    /// <param name="now">What <c>strftime_now</c> tells every row; a date without a time lets the token cache be found again the same day.</param>
    public TemplateChatRenderer(ChatTemplateSet templates, HfTokenizer tokenizer, IReadOnlyList<string> stopTokens,
        IReadOnlyDictionary<string, string> variables, DateTime now)
    {
        _tokenizer = tokenizer;
        _variables = variables.ToDictionary(pair => pair.Key, pair => JsonDocument.Parse(pair.Value).RootElement);
        _builder = new AssistantMaskBuilder(templates, token => tokenizer.IdOf(token) is { } id && tokenizer.IsSpecial(id), stopTokens, now);
        Source = string.Join(", ", templates.Templates.Values.Select(template => template.Name));
        TurnEnds = [.. Samples.SelectMany(Ends).Distinct()];
        // A template that writes the date gives other texts on another day.
        ContentHash = string.Join('-', templates.Templates.OrderBy(pair => pair.Key, StringComparer.Ordinal)
            .Select(pair => $"{pair.Key}:{pair.Value.ContentHash}"))
            + (templates.Templates.Values.Any(template => template.UsesClock) ? $"-{now:yyyy-MM-dd HH:mm:ss}" : "") + $"-{string.Join(' ', stopTokens)}";
    }

    /// <summary>The tokens that end the assistant's turns, of an answer and of a tool call; found by rendering one of each.</summary>
    public IReadOnlyList<int> TurnEnds { get; }

    public string Source { get; }

    public string ContentHash { get; }

    /// <summary>The renderer of a model folder, or null where it has no template and none is given.</summary>
    /// <exception cref="TemplateException">A template file cannot be read or is no template.</exception>
    public static TemplateChatRenderer? Load(string directory, string? overrideFile, HfTokenizer tokenizer, IReadOnlyDictionary<string, string> variables,
        DateTime now) =>
        ChatTemplateSet.Load(directory, overrideFile) is { } templates
        ? new TemplateChatRenderer(templates, tokenizer, StopTokens(directory, tokenizer), variables, now) : null;

    /// <summary>What the model stops at: the tokenizer's end-of-text token and the ids of generation_config.json (GLM stops at the next turn's
    /// header).</summary>
    public static IReadOnlyList<string> StopTokens(string directory, HfTokenizer tokenizer)
    {
        var tokens = new List<string>();
        if (tokenizer.EosToken is { } eos) tokens.Add(eos);
        var file = Path.Combine(directory, "generation_config.json");
        if (!TextEnd.IsShort(file)) return tokens;
        try
        {
            using var config = JsonDocument.Parse(File.ReadAllText(file));
            if (config.RootElement.ValueKind != JsonValueKind.Object || !config.RootElement.TryGetProperty("eos_token_id", out var ids)) return tokens;
            foreach (var id in ids.ValueKind == JsonValueKind.Array ? ids.EnumerateArray().ToArray() : [ids])
                if (id.ValueKind == JsonValueKind.Number && id.TryGetInt32(out var number) && tokenizer.TokenOf(number) is { } token
                    && tokenizer.IsSpecial(number) && !tokens.Contains(token)) tokens.Add(token);
        }
        catch (JsonException)
        {
            // The file serves generation; training needs nothing else of it, and the loader of models reports it.
        }
        return tokens;
    }

    private static readonly JsonElement[] Samples =
    [
        JsonDocument.Parse("""[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yo"}]""").RootElement,
        JsonDocument.Parse(
            """[{"role":"user","content":"Hi"},{"role":"assistant","content":"","tool_calls":[{"id":"abcdefghi","type":"function","function":{"name":"f","arguments":{"a":"b"}}}]},{"role":"tool","tool_call_id":"abcdefghi","name":"f","content":"c"},{"role":"assistant","content":"Yo"}]""").RootElement,
    ];

    private IEnumerable<int> Ends(JsonElement sample)
    {
        AssistantSpans found;
        try
        {
            found = _builder.Build(ChatReader.Read([(sample, "messages")]), TrainOn.Assistant, 0, _variables);
        }
        catch (ChatMaskException)
        {
            yield break; // it takes no such conversation
        }
        if (found.Losses.Count > 0) yield break;
        foreach (var span in found.Spans)
        {
            var ids = _tokenizer.Encode(found.Text[span.Start..span.End].TrimEnd(), addSpecialTokens: false).Ids;
            if (ids.Length > 0 && (_tokenizer.IsSpecial(ids[^1]) || ids[^1] == _tokenizer.EosId)) yield return ids[^1];
        }
    }

    /// <summary>The text of a conversation up to where the assistant is to speak.</summary>
    /// <exception cref="DataException">It cannot be read, or the template refuses it.</exception>
    public string Prompt(JsonElement messages, JsonElement? tools)
    {
        try
        {
            return Prompt(ChatReader.Read([(messages, "messages")], tools: ToolList.Read(tools, "tools")));
        }
        catch (BadRowException error)
        {
            throw new DataException(error.WayOut.Length > 0 ? $"{error.Message}; {error.WayOut}" : error.Message, error);
        }
    }

    public string Prompt(ChatRow row)
    {
        try
        {
            return _builder.Prompt(row, _variables);
        }
        catch (ChatMaskException error)
        {
            throw BadRowException.Malformed(error.Message, error.WayOut);
        }
    }

    public ChatText Render(ChatRow row, TrainOn which, int from)
    {
        try
        {
            var found = _builder.Build(row, which, from, _variables);
            return new ChatText(found.Text, [.. found.Spans.Select(span => (span.Start, span.End))],
                found.Method) { Losses = found.Losses, TrainedTurns = found.TrainedTurns, Notes = found.Notes };
        }
        catch (ChatMaskException error)
        {
            throw BadRowException.Malformed(error.Message, error.WayOut);
        }
    }
}
