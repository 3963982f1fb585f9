using System.Text.Json;
using Trainer.Data;
using Trainer.Data.Answers;
using Trainer.Engine;
using Trainer.Models;
using Trainer.Tokenizers;

namespace Trainer.Training;

/// <summary>Answers prompts greedily with the model as it is now, so that a run shows what it learns; the same state gives the same text.</summary>
internal sealed class PromptSampler
{
    private const int AnswerTokens = 64;
    private readonly CausalModel _model;
    private readonly HfTokenizer _tokenizer;
    private readonly ModelText _text;

    public PromptSampler(CausalModel model, TrainingOptions options)
    {
        _model = model;
        var folders = options.FindText();
        _text = ModelText.Load(
            folders.Tokenizer, options.Data.ChatTemplateFile, model.Config.VocabularySize, variables: options.Data.TemplateVariables,
            templateDirectory: folders.Template, modelDirectory: options.ModelDirectory);
        _tokenizer = _text.Tokenizer ?? HfTokenizer.Load(folders.Tokenizer);
    }

    /// <summary>What the model says to a user's message, or how it continues a text where it has no chat template.</summary>
    public string Answer(string prompt)
    {
        var ids = _text.TemplateSource is null ? _tokenizer.Encode(prompt, addSpecialTokens: true).Ids
            : _text.Prompt(JsonSerializer.SerializeToElement(new[] { new { role = "user", content = prompt } }));
        if (ids.Length == 0 || ids.Length + AnswerTokens > _model.Config.Positions) return "";
        return Continue(ids, AnswerTokens);
    }

    /// <summary>The text of held-out rows.</summary>
    public ModelText Text => _text;

    /// <summary>What the model says to a row, or nothing where the row leaves it no position.</summary>
    public string Answer(AnswerRow row, int most) => row.Prompt.Length >= _model.Config.Positions ? "" : Continue(row.Prompt, Math.Min(most, _model.Config.Positions - row.Prompt.Length));

    private string Continue(int[] ids, int most)
    {
        // A generator of its own: what an earlier one computed belongs to earlier adapter values.
        using var generator = new TextGenerator(_model);
        var answer = generator.Generate(ids, new SamplingOptions { MaxTokens = most, StopIds = _text.StopIds(_model.Config.EosIds) }).ToArray();
        return _tokenizer.Decode(answer, skipSpecialTokens: true);
    }
}
