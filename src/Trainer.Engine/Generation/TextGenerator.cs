using Trainer.Engine.Rope;
using Trainer.Models;

namespace Trainer.Engine.Generation;

/// <summary>
/// Generates tokens one by one with a cache of keys and values: the prompt is computed once, each further token alone.
/// The cache stays for the next prompt, of which only what differs is computed: a conversation's turns cost what they add.
/// </summary>
/// <remarks>One text at a time; several are <see cref="TextBatch"/>'s. Make a new generator once adapter values have changed in place; an adapter attached,
/// switched on or off is noticed.</remarks>
public sealed class TextGenerator : IDisposable
{
    private readonly CausalModel _model;
    private GrowingText? _text;
    private ITokenDecoder? _decoder;
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
        return Tokens(new GrowingText(_model, prompt, options), cancellation);
    }

    /// <inheritdoc/>
    public void Dispose() => _decoder?.Dispose();

    private IEnumerable<int> Tokens(GrowingText text, CancellationToken cancellation)
    {
        var decoder = Begin(text);
        while (!text.HasEnded)
            if (Step(decoder, text, cancellation) is { } token) yield return token;
    }

    // What prompt and cache have in common stays, but for the last token: its logits are wanted.
    private ITokenDecoder Begin(GrowingText text)
    {
        var wanted = (_model.Parameters, _model.AdaptersEnabled);
        if (_decoder is null || wanted != _madeFor)
        {
            _decoder?.Dispose();
            _decoder = _model.Engine.Decoder();
            _madeFor = wanted;
        }
        var shared = 0;
        // Keys turned under another length's frequencies are not those that a fresh pass would hold.
        if (_text is { } former && !_model.Config.Ropes.Any(RopeTable.DependsOnLength))
            while (shared < Math.Min(_decoder.Length, text.PromptLength - 1) && former.Tokens[shared] == text.Tokens[shared]) shared++;
        _decoder.Truncate(shared);
        _text = text;
        return _decoder;
    }

    private static int? Step(ITokenDecoder decoder, GrowingText text, CancellationToken cancellation)
    {
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            var part = text.Next(decoder, GrowingText.PromptPart);
            var logits = decoder.Next(part.Tokens, part.TextLength);
            if (decoder.Length == text.Tokens.Count) return text.Choose(logits);
        }
    }
}
