namespace Trainer.Engine;

/// <summary>
/// Generates tokens one by one with a cache of keys and values: the prompt is computed once, each further token alone.
/// The cache stays for the next prompt, of which only what differs is computed: a conversation's turns cost what they add.
/// </summary>
/// <remarks>One text at a time. Make a new generator once adapter values have changed in place; an adapter attached, switched on or off is noticed.</remarks>
public sealed class TextGenerator : IDisposable
{
    // Enough rows for products near the BLAS ceiling; buffers of a long prompt stay bounded, and a cancellation is seen in between.
    private const int PromptPart = 512;
    private readonly CausalModel _model;
    private readonly List<int> _computed = [];
    private ITokenDecoder? _decoder;
    private int _textLength;
    private (ParameterBuffer Parameters, bool Enabled) _madeFor;

    /// <summary>Makes a generator; the model's adapters count while they are enabled.</summary>
    /// <param name="model">A loaded model; it must outlive the generator.</param>
    public TextGenerator(CausalModel model) => _model = model;

    /// <summary>Continues a prompt. The id that ended the text is not among the tokens.</summary>
    /// <param name="prompt">Token ids, at least one.</param>
    /// <param name="options">How to choose and when to end.</param>
    /// <param name="cancellation">Looked at before each token and between parts of a long prompt.</param>
    /// <returns>Tokens as they come.</returns>
    /// <exception cref="ModelException">An id outside the vocabulary, or logits that are not numbers.</exception>
    public IEnumerable<int> Generate(IReadOnlyList<int> prompt, SamplingOptions options, CancellationToken cancellation = default)
    {
        if (prompt.Count == 0) throw new ArgumentException("a prompt needs at least one token");
        return Tokens(prompt, options, new TokenSampler(options, _model.Config.VocabularySize), cancellation);
    }

    /// <inheritdoc/>
    public void Dispose() => _decoder?.Dispose();

    private IEnumerable<int> Tokens(IReadOnlyList<int> prompt, SamplingOptions options, TokenSampler sampler, CancellationToken cancellation)
    {
        var stop = (options.StopIds ?? _model.Config.EosIds).ToHashSet();
        var decoder = Begin(prompt);
        var seen = new List<int>(prompt);
        for (var made = 0; made < options.MaxTokens; made++)
        {
            var token = Step(decoder, seen, sampler, cancellation);
            if (stop.Contains(token)) yield break;
            seen.Add(token);
            yield return token;
        }
    }

    // What prompt and cache have in common stays, but for the last token: its logits are wanted.
    private ITokenDecoder Begin(IReadOnlyList<int> prompt)
    {
        var wanted = (_model.Parameters, _model.AdaptersEnabled);
        if (_decoder is null || wanted != _madeFor)
        {
            _decoder?.Dispose();
            _decoder = _model.Engine.Decoder();
            _madeFor = wanted;
            _computed.Clear();
        }
        var shared = 0;
        // Keys turned under another length's frequencies are not those that a fresh pass would hold.
        if (!_model.Config.Ropes.Any(RopeTable.DependsOnLength))
            while (shared < Math.Min(_computed.Count, prompt.Count - 1) && _computed[shared] == prompt[shared]) shared++;
        shared = _decoder.Truncate(shared);
        _computed.RemoveRange(shared, _computed.Count - shared);
        _textLength = prompt.Count;
        return _decoder;
    }

    private int Step(ITokenDecoder decoder, List<int> seen, TokenSampler sampler, CancellationToken cancellation)
    {
        if (_model.Config.Ropes.Any(rope => RopeTable.ChangesBetween(rope, _textLength, seen.Count)))
        {
            decoder.Truncate(0);
            _computed.Clear();
        }
        _textLength = seen.Count;
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            var part = seen.GetRange(decoder.Length, Math.Min(PromptPart, seen.Count - decoder.Length));
            var logits = decoder.Next([.. part], seen.Count);
            _computed.AddRange(part);
            if (decoder.Length < seen.Count) continue;
            foreach (var logit in logits)
                if (float.IsNaN(logit)) throw new ModelException($"the model '{_model.Folder}' computes NaN after {seen.Count} tokens; its weights or the adapter's are damaged");
            return sampler.Next(logits, seen);
        }
    }
}
