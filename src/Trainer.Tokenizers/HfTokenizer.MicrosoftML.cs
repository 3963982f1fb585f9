using System.Buffers;
using Microsoft.ML.Tokenizers;

namespace Trainer.Tokenizers;

// What programs that take a Microsoft.ML.Tokenizers.Tokenizer need. No special tokens are added on this way; offsets are ranges of the input.
public sealed partial class HfTokenizer
{
    /// <summary>Turns ids back into text, special tokens included.</summary>
    /// <param name="ids">Token ids.</param>
    public override string Decode(IEnumerable<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        return Decode(ids.ToArray(), false);
    }

    /// <summary>Turns as many ids as fit back into text.</summary>
    /// <param name="ids">Token ids.</param>
    /// <param name="destination">Where the text goes.</param>
    /// <param name="idsConsumed">How many ids the text written stands for.</param>
    /// <param name="charsWritten">How many characters were written.</param>
    /// <returns>Done, or DestinationTooSmall where only some ids fitted.</returns>
    public override OperationStatus Decode(IEnumerable<int> ids, Span<char> destination, out int idsConsumed, out int charsWritten)
    {
        ArgumentNullException.ThrowIfNull(ids);
        (idsConsumed, charsWritten) = (0, 0);
        var all = ids.ToArray();
        var decoder = new StreamDecoder(this, false);
        for (var i = 0; i < all.Length; i++)
        {
            var text = i + 1 < all.Length ? decoder.Add(all[i]) : decoder.Add(all[i]) + decoder.Flush();
            if (text.Length > destination.Length - charsWritten)
                return OperationStatus.DestinationTooSmall;
            text.CopyTo(destination[charsWritten..]);
            charsWritten += text.Length;
            if (!decoder.IsWaiting)
                idsConsumed = i + 1;
        }
        return OperationStatus.Done;
    }

    /// <summary>Encodes a text without special tokens around it.</summary>
    /// <param name="text">The text, or null where <paramref name="textSpan"/> holds it.</param>
    /// <param name="textSpan">The text.</param>
    /// <param name="settings">At most how many tokens; the steps before the model belong to the vocabulary and cannot be left out.</param>
    protected override EncodeResults<EncodedToken> EncodeToTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        if (!settings.ConsiderNormalization || !settings.ConsiderPreTokenization)
            throw new NotSupportedException("the vocabulary is made for normalized and split text: both steps are always taken");
        var input = text ?? textSpan.ToString();
        var encoding = Encode(input, false);
        var count = Math.Min(encoding.Ids.Length, settings.MaxTokenCount);
        // Tokens of one letter's bytes stay together: half a letter could not be given back as text.
        while (count > 0 && count < encoding.Ids.Length && encoding.Offsets[count].Start < encoding.Offsets[count - 1].End)
            count--;
        var tokens = new EncodedToken[count];
        for (var i = 0; i < count; i++)
        {
            var (start, end) = encoding.Offsets[i];
            tokens[i] = new EncodedToken(encoding.Ids[i], TokenOf(encoding.Ids[i]) ?? "", start..end);
        }
        var consumed = count == encoding.Ids.Length ? input.Length : count == 0 ? 0 : encoding.Offsets[count - 1].End;
        return new EncodeResults<EncodedToken> { Tokens = tokens, NormalizedText = null, CharsConsumed = consumed };
    }
}
