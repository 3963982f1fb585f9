using System.Text.Json;
using Trainer.Engine;
using Trainer.Models;
using Trainer.Tokenizers;
using Trainer.Templates;

namespace Trainer.Training;

/// <summary>Answers prompts greedily with the model as it is now, so that a run shows what it learns; the same state gives the same text.</summary>
internal sealed class PromptSampler
{
    private const int AnswerTokens = 64;
    private readonly CausalModel _model;
    private readonly HfTokenizer _tokenizer;
    private readonly ChatTemplate? _template;

    public PromptSampler(CausalModel model, TrainingOptions options)
    {
        _model = model;
        _tokenizer = HfTokenizer.Load(options.ModelDirectory);
        _template = ChatTemplate.Load(options.ModelDirectory, options.Data.ChatTemplateFile);
    }

    /// <summary>What the model says to a user's message, or how it continues a text where it has no chat template.</summary>
    public string Answer(string prompt)
    {
        var ids = _template is null ? _tokenizer.Encode(prompt, addSpecialTokens: true).Ids : Conversation(_template, prompt);
        if (ids.Length == 0 || ids.Length + AnswerTokens > _model.Config.MaxPositions) return "";
        // A generator of its own: what an earlier one computed belongs to earlier adapter values.
        using var generator = new TextGenerator(_model);
        var answer = generator.Generate(ids, new SamplingOptions { MaxTokens = AnswerTokens }).ToArray();
        return _tokenizer.Decode(answer, skipSpecialTokens: true);
    }

    // The template writes the special tokens itself.
    private int[] Conversation(ChatTemplate template, string prompt)
    {
        var messages = JsonSerializer.SerializeToElement(new[] { new { role = "user", content = prompt } });
        return _tokenizer.Encode(template.Render(new TemplateInput { Messages = messages, AddGenerationPrompt = true }).Text, addSpecialTokens: false).Ids;
    }
}
