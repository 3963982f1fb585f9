using System.Text.Json;
using Trainer.Cli.Generating;
using Trainer.Engine.Generation;
using Trainer.Training.Options;

namespace Trainer.Cli.Serving;

/// <summary>A request for a completion, as OpenAI's clients write it; what this server cannot do is refused and never ignored.</summary>
/// <param name="Model">base or adapter.</param>
/// <param name="Messages">The conversation, or null where a text is continued.</param>
/// <param name="Prompt">The text to continue, or null.</param>
/// <param name="Sampling">How tokens are chosen.</param>
/// <param name="Stops">Texts that end the answer.</param>
/// <param name="IsStreamed">Whether the answer comes as server-sent events.</param>
/// <param name="WithUsage">Whether the stream ends with the counts of tokens.</param>
internal sealed record ApiRequest(
    string Model, IReadOnlyList<ChatMessage>? Messages, string? Prompt, SamplingOptions Sampling, IReadOnlyList<string> Stops, bool IsStreamed, bool WithUsage)
{
    // Fields that change the answer in ways this server does not know.
    private static readonly string[] Unknown = ["tools", "functions", "response_format", "logit_bias", "audio", "suffix", "best_of", "prediction"];

    /// <param name="body">The request's JSON.</param>
    /// <param name="isChat">Whether it asks for a turn of a conversation.</param>
    /// <param name="defaults">What holds where the request is silent; its token count is the most that is given.</param>
    /// <param name="hasAdapter">Whether there is an adapter to choose.</param>
    /// <exception cref="ApiException">It is not such a request.</exception>
    public static ApiRequest Read(JsonElement body, bool isChat, SamplingOptions defaults, bool hasAdapter)
    {
        if (body.ValueKind != JsonValueKind.Object) throw new ApiException(400, "the body must be a JSON object");
        foreach (var name in Unknown)
            if (body.TryGetProperty(name, out var value) && !IsEmpty(value)) throw new ApiException(400, $"'{name}' is not supported here; leave it out", name);
        foreach (var name in new[] { "frequency_penalty", "presence_penalty" })
            if (Number(body, name, -2, 2) is not (null or 0)) throw new ApiException(400, $"'{name}' is not supported here; leave it out", name);
        if (Number(body, "n", 1, 128) is not (null or 1)) throw new ApiException(400, "'n' must be 1", "n");
        if (Flag(body, "logprobs") || Flag(body, "echo"))
            throw new ApiException(400, "'logprobs' and 'echo' are not supported here; leave them out", "logprobs");
        var tokens = Number(body, "max_completion_tokens", 1, int.MaxValue) ?? Number(body, "max_tokens", 1, int.MaxValue) ?? defaults.MaxTokens;
        var sampling = defaults with
        {
            MaxTokens = (int)Math.Min(tokens, defaults.MaxTokens),
            Temperature = Number(body, "temperature", 0, 100) ?? defaults.Temperature,
            TopP = Number(body, "top_p", 0, 1) is { } share and > 0 ? share : defaults.TopP,
            Seed = (int)((long)(Number(body, "seed", long.MinValue, long.MaxValue) ?? defaults.Seed) & int.MaxValue),
        };
        var options = body.TryGetProperty("stream_options", out var given) && given.ValueKind == JsonValueKind.Object && Flag(given, "include_usage");
        return new ApiRequest(ModelOf(body, hasAdapter), isChat ? MessagesOf(body) : null, isChat ? null : PromptOf(body), sampling, StopsOf(body),
            Flag(body, "stream"), options);
    }

    private static string ModelOf(JsonElement body, bool hasAdapter)
    {
        var otherwise = hasAdapter ? "adapter" : "base";
        if (!body.TryGetProperty("model", out var value) || IsEmpty(value)) return otherwise;
        return value.ValueKind == JsonValueKind.String && value.GetString() is "base" or "adapter" && (hasAdapter || value.GetString() == "base")
            ? value.GetString()!
            : throw new ApiException(404, $"there is no model '{value}'; this server has {(hasAdapter ? "'base' and 'adapter'" : "'base'")}", "model",
                "model_not_found");
    }

    private static List<ChatMessage> MessagesOf(JsonElement body)
    {
        if (!body.TryGetProperty("messages", out var list) || list.ValueKind != JsonValueKind.Array || list.GetArrayLength() == 0)
            throw new ApiException(400, "'messages' must be a list of at least one message", "messages");
        var messages = new List<ChatMessage>();
        foreach (var message in list.EnumerateArray())
        {
            var where = $"messages[{messages.Count}]";
            if (message.ValueKind != JsonValueKind.Object || !message.TryGetProperty("role", out var role) || role.ValueKind != JsonValueKind.String)
                throw new ApiException(400, $"'{where}' must have a role and a content", where);
            if (message.TryGetProperty("tool_calls", out var calls) && !IsEmpty(calls))
                throw new ApiException(400, $"'{where}.tool_calls' is not supported here", where);
            messages.Add(new ChatMessage(role.GetString()!, message.TryGetProperty("content", out var content) ? Text(content, where + ".content") : ""));
        }
        return messages;
    }

    private static string PromptOf(JsonElement body)
    {
        if (!body.TryGetProperty("prompt", out var prompt)) throw new ApiException(400, "'prompt' is missing", "prompt");
        if (prompt.ValueKind == JsonValueKind.Array && prompt.GetArrayLength() == 1) prompt = prompt[0];
        return prompt.ValueKind == JsonValueKind.String ? Decoded(prompt, "prompt") : throw new ApiException(400, "'prompt' must be one text", "prompt");
    }

    // A content is a text, or a list of parts of which texts alone are known here.
    private static string Text(JsonElement content, string where)
    {
        if (content.ValueKind == JsonValueKind.Null) return "";
        if (content.ValueKind == JsonValueKind.String) return Decoded(content, where);
        if (content.ValueKind != JsonValueKind.Array) throw new ApiException(400, $"'{where}' must be a text", where);
        return string.Concat(content.EnumerateArray().Select(part =>
            part.ValueKind == JsonValueKind.Object && part.TryGetProperty("text", out var text) && text.ValueKind == JsonValueKind.String
                ? Decoded(text, where)
                : throw new ApiException(400, $"'{where}' holds a part that is no text", where)));
    }

    private static List<string> StopsOf(JsonElement body)
    {
        if (!body.TryGetProperty("stop", out var stop) || IsEmpty(stop)) return [];
        JsonElement[] all = stop.ValueKind == JsonValueKind.Array ? [.. stop.EnumerateArray()] : [stop];
        if (all.Length > 16 || all.Any(one => one.ValueKind != JsonValueKind.String))
            throw new ApiException(400, "'stop' must be a text or a list of at most 16", "stop");
        return [.. all.Select(one => Decoded(one, "stop")).Where(text => text.Length > 0)];
    }

    private static string Decoded(JsonElement text, string where)
    {
        try
        {
            return text.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw new ApiException(400, $"'{where}' holds text that is not valid Unicode", where);
        }
    }

    private static double? Number(JsonElement body, string name, double least, double most)
    {
        if (!body.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null) return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number >= least && number <= most) return number;
        throw new ApiException(400, $"'{name}' must be a number from {Quantities.Plain(least)} to {Quantities.Plain(most)}", name);
    }

    private static bool Flag(JsonElement body, string name) => body.TryGetProperty(name, out var value) && value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False or JsonValueKind.Null => false,
        _ => throw new ApiException(400, $"'{name}' must be true or false", name),
    };

    private static bool IsEmpty(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.Undefined or JsonValueKind.False => true,
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => !value.EnumerateObject().Any()
            || (value.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String && type.GetString() == "text"),
        JsonValueKind.String => value.ValueEquals(""),
        _ => false,
    };
}
