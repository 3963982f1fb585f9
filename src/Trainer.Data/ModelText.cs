using System.Text.Json;
using Trainer.Data.Chat;
using Trainer.Data.Rows;
using Trainer.Tokenizers;

namespace Trainer.Data;

/// <summary>What turns text into a model's tokens: its tokenizer, its chat templates, the size of its vocabulary.</summary>
public sealed class ModelText
{
    private ModelText(HfTokenizer? tokenizer, TextTools tools)
    {
        (Tokenizer, Tools) = (tokenizer, tools);
    }

    /// <summary>What a user should know of how the model's texts end.</summary>
    public IReadOnlyList<string> Notes { get; private init; } = [];

    /// <summary>The tokens with which the chat template ends the assistant's turns; empty where there is no template, or it ends them with none.</summary>
    public IReadOnlyList<int> TurnEnds { get; private init; } = [];

    /// <summary>The tokenizer, or null where the folder has none; then only rows of ids can be read.</summary>
    public HfTokenizer? Tokenizer { get; }

    /// <summary>Where the chat template came from, or null where there is none.</summary>
    public string? TemplateSource => Tools.Chat?.Source;

    /// <summary>Digest of the chat templates (and of the day, where one writes the date), or null.</summary>
    public string? TemplateHash => Tools.Chat?.ContentHash;

    internal TextTools Tools { get; }

    /// <summary>Token ids of a conversation up to where the assistant's next turn begins, by the chat template, with messages and tools in any dialect that
    /// rows may have.</summary>
    /// <param name="messages">A JSON array of messages.</param>
    /// <param name="tools">A JSON array of tools, or null.</param>
    /// <exception cref="DataException">There is no template, or it refuses the conversation.</exception>
    public int[] Prompt(JsonElement messages, JsonElement? tools = null)
    {
        if (Tools.Chat is not TemplateChatRenderer chat) throw new DataException("the model has no chat template; add --chat-template FILE");
        return Tokenizer!.Encode(chat.Prompt(messages, tools), addSpecialTokens: false).Ids; // the template writes the special tokens itself
    }

    /// <summary>Where an answer ends: at the ids that the model's files name, and at those with which the chat template ends a turn.</summary>
    /// <param name="named">Ids of config.json and generation_config.json.</param>
    public IReadOnlyList<int> StopIds(IReadOnlyList<int> named) => [.. named.Union(TurnEnds).Union(Tokenizer?.EosId is { } end ? [end] : [])];

    /// <summary>Reads tokenizer and templates of a model folder.</summary>
    /// <param name="directory">The model's folder, or one with tokenizer files alone.</param>
    /// <param name="chatTemplateFile">A template that replaces the folder's own, or null.</param>
    /// <param name="vocabularySize">Rows of the model's embedding; a token id at or above it is refused. Null trusts the tokenizer.</param>
    /// <param name="now">What templates that write the date are told; null takes today. A resumed run passes the day it began on.</param>
    /// <param name="variables">Variables of the chat template, each as JSON; or null.</param>
    /// <param name="templateDirectory">Folder of the chat template where it is another.</param>
    /// <param name="modelDirectory">Folder of config.json and generation_config.json where it is another.</param>
    /// <exception cref="TokenizerException">The tokenizer cannot be read.</exception>
    /// <exception cref="Trainer.Templates.TemplateException">A template cannot be read.</exception>
    public static ModelText Load(
        string directory, string? chatTemplateFile = null, int? vocabularySize = null, DateTime? now = null,
        IReadOnlyDictionary<string, string>? variables = null,
        string? templateDirectory = null, string? modelDirectory = null)
    {
        if (!File.Exists(Path.Combine(directory, "tokenizer.json")) && !File.Exists(Path.Combine(directory, "tokenizer.model")))
            return new ModelText(null, TextTools.Of(null, vocabularySize));
        var tokenizer = HfTokenizer.Load(directory);
        var end = TextEnd.Of(modelDirectory ?? directory, tokenizer, vocabularySize);
        // The date without the time: the cache of a model whose template writes the date is found again the same day. That of UTC, as in a run, which may go on
        // elsewhere.
        var chat = TemplateChatRenderer.Load(templateDirectory ?? directory, chatTemplateFile, tokenizer, variables ?? new Dictionary<string, string>(),
            now ?? TimeProvider.System.GetUtcNow().Date);
        return new ModelText(tokenizer, TextTools.Of(tokenizer, vocabularySize, end.Id) with { Chat = chat }) { Notes = end.Notes,
            TurnEnds = chat?.TurnEnds ?? [] };
    }
}
