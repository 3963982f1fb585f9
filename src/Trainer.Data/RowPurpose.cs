namespace Trainer.Data;

/// <summary>What rows are read for.</summary>
public enum RowPurpose
{
    /// <summary>Text that is learnt by heart: the rows of supervised fine-tuning.</summary>
    Supervised,
    /// <summary>A better and a worse answer to one prompt.</summary>
    Pairs,
    /// <summary>One answer with a label, desirable or not.</summary>
    Feedback,
    /// <summary>A prompt that the model is to answer by itself.</summary>
    Prompts,
    /// <summary>Whatever the columns say: to be looked at.</summary>
    Any,
}
