using Trainer.Engine.Rope;
using Trainer.Models;

namespace Trainer.Engine.Generation;

/// <summary>A prompt and what was made of it so far: which tokens are to be computed next, and which token follows from their logits.</summary>
internal sealed class GrowingText
{
    /// <summary>Tokens of a prompt at a time: enough rows for products near the BLAS ceiling; buffers of a long prompt stay bounded, and a cancellation is seen
    /// in between.</summary>
    public const int PromptPart = 512;

    private readonly CausalModel _model;
    private readonly TokenSampler _sampler;
    private readonly HashSet<int> _stop;
    private readonly List<int> _tokens;
    private readonly int _most;
    private int _turnedFor;

    public GrowingText(CausalModel model, IReadOnlyList<int> prompt, SamplingOptions options)
    {
        if (prompt.Count == 0) throw new ArgumentException("a prompt needs at least one token");
        (_model, _tokens, _turnedFor) = (model, [.. prompt], prompt.Count);
        _sampler = new TokenSampler(options, model.Config.VocabularySize);
        _stop = (options.StopIds ?? model.Config.EosIds).ToHashSet();
        (PromptLength, _most) = (prompt.Count, prompt.Count + options.MaxTokens);
        HasEnded = options.MaxTokens <= 0;
    }

    /// <summary>Prompt and text.</summary>
    public IReadOnlyList<int> Tokens => _tokens;

    /// <summary>Tokens of the prompt.</summary>
    public int PromptLength { get; }

    /// <summary>Tokens that prompt and text have at most.</summary>
    public int Room => _most;

    /// <summary>Whether the text is over: by a token that ends it, which is not part of it, or by its length.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>The id that ended the text; null while it goes on, and where its length ended it.</summary>
    public int? EndedBy { get; private set; }

    /// <summary>Tokens that a decoder does not hold yet; all of them where the frequencies of those it holds are no longer this text's.</summary>
    public TextPart Next(ITokenDecoder decoder, int most)
    {
        if (_model.Config.Ropes.Any(rope => RopeTable.ChangesBetween(rope, _turnedFor, _tokens.Count))) decoder.Truncate(0);
        _turnedFor = _tokens.Count;
        return new TextPart(decoder, [.. _tokens[decoder.Length..Math.Min(decoder.Length + most, _tokens.Count)]], _tokens.Count);
    }

    /// <summary>Chooses the next token and adds it, unless it ends the text.</summary>
    /// <param name="logits">Logits after the last token; overwritten.</param>
    /// <returns>The token, or null where it ended the text.</returns>
    public int? Choose(Span<float> logits)
    {
        foreach (var logit in logits)
            if (float.IsNaN(logit))
                throw new ModelException($"the model '{_model.Folder}' computes NaN after {_tokens.Count} tokens; its weights or the adapter's are damaged");
        var token = _sampler.Next(logits, _tokens);
        var ends = _stop.Contains(token);
        if (ends) EndedBy = token;
        else _tokens.Add(token);
        HasEnded = ends || _tokens.Count >= _most;
        return ends ? null : token;
    }
}
