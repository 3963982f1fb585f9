namespace Trainer.Data.Conversations;

/// <summary>Names of speakers in the dialects of data sets, in the words that chat templates use.</summary>
public static class Roles
{
    /// <summary>What LLaMA-Factory's ShareGPT writes for a turn whose text is a call.</summary>
    public const string Call = "function_call";

    private static readonly Dictionary<string, string> Known = new(StringComparer.OrdinalIgnoreCase)
    {
        ["system"] = Turn.System, ["developer"] = Turn.Developer,
        ["user"] = Turn.User, ["human"] = Turn.User, ["prompter"] = Turn.User,
        ["assistant"] = Turn.Assistant, ["gpt"] = Turn.Assistant, ["chatgpt"] = Turn.Assistant, ["model"] = Turn.Assistant, ["bot"] = Turn.Assistant,
        ["chatbot"] = Turn.Assistant, ["ai"] = Turn.Assistant, ["bard"] = Turn.Assistant, ["bing"] = Turn.Assistant,
        ["tool"] = Turn.Tool, ["observation"] = Turn.Tool, ["function"] = Turn.Tool, ["function_response"] = Turn.Tool, ["tool_response"] = Turn.Tool,
        ["tool_result"] = Turn.Tool, ["tool_results"] = Turn.Tool, ["ipython"] = Turn.Tool,
        ["function_call"] = Call, ["tool_call"] = Call,
    };

    /// <summary>The role a speaker has; one of no dialect stays as it is, for the template to know or not.</summary>
    public static string Of(string speaker) => Known.GetValueOrDefault(speaker.Trim().Replace('-', '_'), speaker);

    /// <summary>Whether a role is of our own words.</summary>
    public static bool IsCommon(string role) => role is Turn.System or Turn.User or Turn.Assistant or Turn.Tool or Turn.Developer;
}
