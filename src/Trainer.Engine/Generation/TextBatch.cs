using Trainer.Engine.Rope;
using Trainer.Models;

namespace Trainer.Engine.Generation;

/// <summary>
/// Continues several texts at once: a step computes the next token of each in one pass, in which every weight is read once. Texts come and go between steps;
/// prompts are computed in parts beside the texts that are being continued. Equal prompts are computed once, and so is a beginning that is given by
/// <see cref="Share"/>.
/// </summary>
/// <remarks>
/// Each text has its own draws, so what it says does not depend on the others, but for the rounding of products of more rows.
/// The model's adapters and their values must stay as they are while the batch lives.
/// </remarks>
public sealed class TextBatch : IDisposable
{
    /// <summary>Most tokens of prompts in a pass; each text that is being continued adds one.</summary>
    public const int PassTokens = GrowingText.PromptPart;

    // A shorter beginning costs as much to copy as to compute.
    private const int LeastShared = 16;
    private readonly CausalModel _model;
    private readonly int _keep;
    private readonly List<BatchText> _texts = [];
    private readonly List<BatchText> _kept = [];
    private readonly ITokenDecoder _origin;
    private ITokenDecoder _root;
    private IReadOnlyList<int> _shared = [];
    private float[] _logits = [];

    /// <summary>A batch without texts.</summary>
    /// <param name="model">A loaded model; it must outlive the batch.</param>
    /// <param name="keep">Texts whose keys and values stay once they are over, the latest ones: a prompt that goes on from such a text costs what it
    /// adds.</param>
    public TextBatch(CausalModel model, int keep = 0)
    {
        _model = model;
        _keep = HasSteadyKeys ? keep : 0;
        _root = _origin = model.Engine.Decoder();
    }

    /// <summary>Texts that are not over.</summary>
    public int Count => _texts.Count;

    /// <summary>Bytes of keys, values and states of all texts, of what they share and of texts that stay.</summary>
    public long Bytes => _root.Bytes + _texts.Concat(_kept).Sum(text => text.Decoder?.Bytes ?? 0);

    /// <summary>Tokens computed so far, of prompts and texts: what texts share counts once.</summary>
    public long ComputedTokens { get; private set; }

    /// <summary>Continues prompts, so many at a time.</summary>
    /// <param name="model">The model.</param>
    /// <param name="prompts">Token ids, at least one each.</param>
    /// <param name="options">How to choose the tokens of a prompt, by its index.</param>
    /// <param name="size">Texts at a time.</param>
    /// <param name="ended">Told a prompt's index and text once it is over; in the order in which they end.</param>
    /// <param name="made">Told a prompt's index and its next token; says whether the text goes on.</param>
    /// <param name="cancellation">Looked at before each step.</param>
    /// <returns>The texts, in the order of their prompts.</returns>
    /// <exception cref="ModelException">An id outside the vocabulary, or logits that are not numbers.</exception>
    public static int[][] Continue(
        CausalModel model, IReadOnlyList<int[]> prompts, Func<int, SamplingOptions> options, int size,
        Action<int, int[]>? ended = null, Func<int, int, bool>? made = null, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        using var batch = new TextBatch(model);
        if (prompts.Count > 1) batch.Share(CommonBeginning(prompts), cancellation);
        var (texts, open, next) = (new int[prompts.Count][], new Dictionary<BatchText, int>(), 0);
        while (next < prompts.Count || open.Count > 0)
        {
            for (; next < prompts.Count && open.Count < size; next++) open.Add(batch.Add(prompts[next], options(next)), next);
            batch.Step(cancellation);
            foreach (var (text, index) in open.OrderBy(pair => pair.Value).ToList())
            {
                var goesOn = text.Token is not { } token || made is null || made(index, token);
                if (goesOn && !text.HasEnded) continue;
                batch.Remove(text);
                open.Remove(text);
                texts[index] = [.. text.Tokens];
                ended?.Invoke(index, texts[index]);
            }
        }
        return texts;
    }

    /// <summary>Computes a beginning once, for all prompts that begin so and are added later.</summary>
    /// <param name="tokens">The beginning; one of a few tokens is left to each prompt.</param>
    /// <param name="cancellation">Looked at between parts.</param>
    public void Share(IReadOnlyList<int> tokens, CancellationToken cancellation = default)
    {
        if (tokens.Count < LeastShared || !HasSteadyKeys) return;
        var root = _origin.Branch(0, tokens.Count);
        while (root.Length < tokens.Count)
        {
            cancellation.ThrowIfCancellationRequested();
            root.Next([.. tokens.Skip(root.Length).Take(GrowingText.PromptPart)], tokens.Count);
        }
        ComputedTokens += tokens.Count;
        if (_root != _origin) _root.Dispose();
        (_root, _shared) = (root, tokens);
    }

    /// <summary>Adds a prompt that is to be continued from the next step on.</summary>
    /// <param name="prompt">Token ids, at least one.</param>
    /// <param name="options">How to choose and when to end.</param>
    public BatchText Add(IReadOnlyList<int> prompt, SamplingOptions options)
    {
        var growing = new GrowingText(_model, prompt, options);
        var leader = _texts.Find(other => other.Leader is null && other.Growing.Tokens.Count == other.Growing.PromptLength
            && other.Growing.Tokens.SequenceEqual(prompt));
        var text = new BatchText(growing, leader);
        if (leader is null) text.Decoder = Begin(prompt, growing.Room);
        if (growing.HasEnded) text.Decoder?.Dispose();
        else _texts.Add(text);
        return text;
    }

    /// <summary>Takes a text out before its end.</summary>
    /// <param name="text">A text of this batch; one that is over has left already.</param>
    public void Remove(BatchText text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (!_texts.Remove(text)) return;
        // Those that waited for its prompt choose another to compute it; the leader's place passes to the first.
        var heir = _texts.Find(other => other.Leader == text);
        if (heir is null)
        {
            text.Decoder?.Dispose();
            return;
        }
        (heir.Leader, heir.Decoder) = (null, text.Decoder);
        foreach (var other in _texts.Where(other => other.Leader == text)) other.Leader = heir;
    }

    /// <summary>One pass: the next token of every text whose prompt is computed, and parts of the prompts that are not.</summary>
    /// <param name="cancellation">Looked at before the pass.</param>
    /// <returns>Texts that have a new token or are over; those that are over have left the batch.</returns>
    public IReadOnlyList<BatchText> Step(CancellationToken cancellation = default)
    {
        cancellation.ThrowIfCancellationRequested();
        var parts = Parts();
        if (parts.Count == 0) return [];
        var vocabulary = _model.Config.VocabularySize;
        if (_logits.Length < parts.Count * vocabulary) _logits = new float[parts.Count * vocabulary];
        _model.Engine.Continue([.. parts.Select(part => part.Part)], _logits);
        ComputedTokens += parts.Sum(part => part.Part.Tokens.Length);
        var stepped = new List<BatchText>();
        for (var p = 0; p < parts.Count; p++)
        {
            var text = parts[p].Text;
            if (text.Decoder!.Length < text.Growing.Tokens.Count) continue;
            var logits = _logits.AsSpan(p * vocabulary, vocabulary);
            stepped.AddRange(Followers(text, logits));
            text.Token = text.Growing.Choose(logits);
            stepped.Add(text);
        }
        foreach (var text in stepped.Where(text => text.HasEnded))
        {
            _texts.Remove(text);
            _kept.Add(text);
        }
        while (_kept.Count > _keep)
        {
            _kept[0].Decoder!.Dispose();
            _kept.RemoveAt(0);
        }
        return stepped;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var text in _texts.Concat(_kept)) text.Decoder?.Dispose();
        if (_root != _origin) _root.Dispose();
        _origin.Dispose();
    }

    // Texts that are being continued have one token each; what is left of a pass goes to prompts, the oldest first.
    private List<(BatchText Text, TextPart Part)> Parts()
    {
        var (parts, room) = (new List<(BatchText, TextPart)>(), GrowingText.PromptPart);
        foreach (var text in _texts)
        {
            text.Token = null;
            if (text.Leader is not null) continue;
            var isPrompt = text.Growing.Tokens.Count - text.Decoder!.Length > 1;
            if (isPrompt && room <= 0) continue;
            var part = text.Growing.Next(text.Decoder, isPrompt ? room : 1);
            if (isPrompt) room -= part.Tokens.Length;
            parts.Add((text, part));
        }
        return parts;
    }

    // Those with the same prompt begin where it was computed, with draws of their own.
    private List<BatchText> Followers(BatchText leader, ReadOnlySpan<float> logits)
    {
        var followers = _texts.FindAll(other => other.Leader == leader);
        foreach (var follower in followers)
        {
            (follower.Leader, follower.Decoder) = (null, leader.Decoder!.Branch(leader.Decoder.Length, follower.Growing.Room));
            follower.Token = follower.Growing.Choose([.. logits]);
        }
        return followers;
    }

    // Keys turned under another length's frequencies are not those that a prompt of its own length would hold.
    private bool HasSteadyKeys => !_model.Config.Ropes.Any(RopeTable.DependsOnLength);

    // A text that is over and begins as the prompt does goes on in its place, where that saves more than the shared beginning.
    private ITokenDecoder Begin(IReadOnlyList<int> prompt, int room)
    {
        var shared = CommonWith(_shared, prompt);
        if (_kept.MaxBy(text => CommonWith(text.Growing.Tokens, prompt)) is { } kept && CommonWith(kept.Growing.Tokens, prompt) is var common
            && common > Math.Max(shared, LeastShared))
        {
            _kept.Remove(kept);
            var decoder = kept.Decoder!;
            if (decoder.Truncate(Math.Min(common, decoder.Length)) > shared) return decoder;
            decoder.Dispose();
        }
        return _root.Branch(shared, room);
    }

    // The last token's logits are wanted, so it is never shared.
    private static int CommonWith(IReadOnlyList<int> tokens, IReadOnlyList<int> prompt)
    {
        var common = 0;
        while (common < Math.Min(tokens.Count, prompt.Count - 1) && tokens[common] == prompt[common]) common++;
        return common;
    }

    private static int[] CommonBeginning(IReadOnlyList<int[]> prompts)
    {
        var common = prompts.Min(prompt => prompt.Length) - 1;
        foreach (var prompt in prompts) common = Math.Min(common, prompt.AsSpan().CommonPrefixLength(prompts[0]));
        return prompts[0][..Math.Max(0, common)];
    }
}
