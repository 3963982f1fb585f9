using System.Text.Json;
using Trainer.Data;
using Trainer.Data.Answers;
using Trainer.Engine;
using Trainer.Engine.Generation;
using Trainer.Tokenizers;

namespace Trainer.Training.Steps;

/// <summary>Answers prompts greedily with the model as it is now, several at a time, so that a run shows what it learns; the same state gives the same
/// text.</summary>
internal sealed class PromptSampler
{
    /// <summary>Texts that are written at a time.</summary>
    public const int AtOnce = 8;

    /// <summary>Most tokens of an answer to a sample prompt.</summary>
    public const int AnswerTokens = 64;

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

    /// <summary>What the model says to users' messages, or how it continues texts where it has no chat template; nothing where a prompt leaves it no
    /// room.</summary>
    public IReadOnlyList<string> Answer(IReadOnlyList<string> prompts)
    {
        var ids = prompts.Select(prompt => _text.TemplateSource is null ? _tokenizer.Encode(prompt, addSpecialTokens: true).Ids
            : _text.Prompt(JsonSerializer.SerializeToElement(new[] { new { role = "user", content = prompt } })));
        return Continue([.. ids.Select(prompt => prompt.Length + AnswerTokens > _model.Config.Positions ? [] : prompt)], AnswerTokens, static () => { });
    }

    /// <summary>The text of held-out rows.</summary>
    public ModelText Text => _text;

    /// <summary>Turns ids into text and back.</summary>
    public HfTokenizer Tokenizer => _tokenizer;

    /// <summary>What the model says to rows, or nothing where a row leaves it no position.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="most">Most tokens of an answer.</param>
    /// <param name="between">Called after each answer.</param>
    public IReadOnlyList<string> Answer(IReadOnlyList<AnswerRow> rows, int most, Action between) =>
        Continue([.. rows.Select(row => row.Prompt.Length >= _model.Config.Positions ? [] : row.Prompt)], most, between);

    // A batch of its own each time: what an earlier one computed belongs to earlier adapter values.
    private string[] Continue(int[][] prompts, int most, Action between)
    {
        var (texts, asked) = (new string[prompts.Length], Enumerable.Range(0, prompts.Length).Where(index => prompts[index].Length > 0).ToArray());
        Array.Fill(texts, "");
        var stops = _text.StopIds(_model.Config.EosIds);
        TextBatch.Continue(
            _model, [.. asked.Select(index => prompts[index])],
            at => new SamplingOptions { MaxTokens = Math.Min(most, _model.Config.Positions - prompts[asked[at]].Length), StopIds = stops }, AtOnce,
            (at, tokens) =>
            {
                texts[asked[at]] = _tokenizer.Decode(tokens, skipSpecialTokens: true);
                between();
            });
        return texts;
    }
}
