namespace Trainer.Data;

/// <summary>What a sequence of a row is for. In a row's labels the first token of each sequence says so: that token is predicted by nothing.</summary>
public enum SegmentRole
{
    /// <summary>A row of supervised data: all of it is one sequence.</summary>
    Plain,
    /// <summary>The better answer of a pair, behind its prompt.</summary>
    Chosen,
    /// <summary>The worse answer of a pair, behind its prompt.</summary>
    Rejected,
    /// <summary>An answer with a thumb up, behind its prompt.</summary>
    Desirable,
    /// <summary>An answer with a thumb down, behind its prompt.</summary>
    Undesirable,
    /// <summary>An answer behind a prompt that it does not belong to: KTO measures with it and does not train it.</summary>
    Mismatched,
    /// <summary>A prompt without an answer: the model makes them up.</summary>
    Prompt,
    /// <summary>An answer that the model made up, behind its prompt.</summary>
    Sampled,
}
