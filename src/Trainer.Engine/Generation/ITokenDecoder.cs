namespace Trainer.Engine;

/// <summary>Computes a text piece by piece, keeping keys and values of what came before. One text at a time.</summary>
internal interface ITokenDecoder : IDisposable
{
    /// <summary>Tokens computed so far.</summary>
    int Length { get; }

    /// <summary>Logits (vocabulary) after the last of further tokens; valid, and free to be overwritten, until the next call.</summary>
    /// <param name="tokens">At least one.</param>
    Span<float> Next(int[] tokens);

    /// <summary>Forgets all but the first tokens.</summary>
    /// <param name="length">Tokens to keep, at most <see cref="Length"/>.</param>
    void Truncate(int length);
}
