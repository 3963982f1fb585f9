namespace Trainer.Engine.Generation;

/// <summary>One of the texts of a <see cref="TextBatch"/>.</summary>
public sealed class BatchText
{
    internal BatchText(GrowingText growing, BatchText? leader) => (Growing, Leader) = (growing, leader);

    /// <summary>Tokens made so far; the id that ended the text is not among them.</summary>
    public IReadOnlyList<int> Tokens => [.. Growing.Tokens.Skip(Growing.PromptLength)];

    /// <summary>The token of the last step, or null where that step ended the text or computed a part of its prompt.</summary>
    public int? Token { get; internal set; }

    /// <summary>Whether the text is over.</summary>
    public bool HasEnded => Growing.HasEnded;

    /// <summary>The id that ended the text, which is not among <see cref="Tokens"/>; null while it goes on, and where its length ended it.</summary>
    public int? EndedBy => Growing.EndedBy;

    internal GrowingText Growing { get; }

    /// <summary>A text with the same prompt, which is computed for both; null once it is.</summary>
    internal BatchText? Leader { get; set; }

    internal ITokenDecoder? Decoder { get; set; }
}
