using TorchSharp;

namespace Trainer.Models;

/// <summary>Generates tokens one by one with a cache of keys and values: the prompt is computed once, each further token alone.</summary>
public sealed class TextGenerator
{
    private readonly CausalModel _model;

    /// <summary>Makes a generator; the model's adapters count while they are enabled.</summary>
    /// <param name="model">A loaded model.</param>
    public TextGenerator(CausalModel model) => _model = model;

    /// <summary>Continues a prompt. The id that ended the text is not among the tokens.</summary>
    /// <param name="prompt">Token ids, at least one.</param>
    /// <param name="options">How to choose and when to end.</param>
    /// <param name="cancellation">Looked at before each token.</param>
    /// <returns>Tokens as they come.</returns>
    /// <exception cref="ModelException">An id outside the vocabulary, or logits that are not numbers.</exception>
    public IEnumerable<int> Generate(IReadOnlyList<int> prompt, SamplingOptions options, CancellationToken cancellation = default)
    {
        if (prompt.Count == 0) throw new ArgumentException("a prompt needs at least one token");
        return Tokens(prompt, options, new TokenSampler(options, _model.Config.VocabularySize), cancellation);
    }

    private IEnumerable<int> Tokens(IReadOnlyList<int> prompt, SamplingOptions options, TokenSampler sampler, CancellationToken cancellation)
    {
        var stop = (options.StopIds ?? _model.Config.EosIds).ToHashSet();
        using var engine = new ReferenceEngine(_model);
        using var cache = new KvCache(_model.Layers.Count);
        var seen = new List<int>(prompt);
        int[] next = [.. prompt];
        for (var made = 0; made < options.MaxTokens; made++)
        {
            cancellation.ThrowIfCancellationRequested();
            var token = Step(engine, next, cache, sampler, seen);
            if (stop.Contains(token)) yield break;
            seen.Add(token);
            next = [token];
            yield return token;
        }
    }

    private int Step(ReferenceEngine engine, int[] tokens, KvCache cache, TokenSampler sampler, List<int> seen)
    {
        var first = cache.Length;
        var ignored = new int[tokens.Length];
        Array.Fill(ignored, TokenBatch.IgnoredTarget);
        var batch = new TokenBatch(tokens, ignored, [.. Enumerable.Range(first, tokens.Length)], [0, tokens.Length], [1f]);
        using var onDevice = engine.LastLogits(batch, cache);
        using var logits = onDevice.to(torch.CPU);
        var values = logits.data<float>().ToArray();
        if (Array.Exists(values, float.IsNaN)) throw new ModelException($"the model '{_model.Folder}' computes NaN after {seen.Count} tokens; its weights or the adapter's are damaged");
        return sampler.Next(values, seen);
    }
}
