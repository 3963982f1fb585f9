namespace Trainer.Engine.Generation;

/// <summary>Computes a text piece by piece, keeping keys and values of what came before.</summary>
internal interface ITokenDecoder : IDisposable
{
    /// <summary>Tokens computed so far.</summary>
    int Length { get; }

    /// <summary>Bytes of keys, values and states, those in rooms not yet filled included.</summary>
    long Bytes { get; }

    /// <summary>Logits (vocabulary) after the last of further tokens; valid, and free to be overwritten, until the next call.</summary>
    /// <param name="tokens">At least one.</param>
    /// <param name="textLength">Tokens of the text that these belong to, those still to be computed included; 0 where none is.</param>
    Span<float> Next(int[] tokens, int textLength = 0);

    /// <summary>Forgets all but the first tokens.</summary>
    /// <param name="length">Tokens to keep, at most <see cref="Length"/>.</param>
    /// <returns>Tokens kept; fewer than asked where a layer's state knows no earlier token.</returns>
    int Truncate(int length);

    /// <summary>Another text that begins as this one, with keys and values of its own. It holds fewer tokens than asked where a layer's state knows no earlier
    /// token.</summary>
    /// <param name="length">Tokens that both begin with, at most <see cref="Length"/>.</param>
    /// <param name="room">Tokens that the other will hold; for more, its room grows.</param>
    ITokenDecoder Branch(int length, int room);
}
