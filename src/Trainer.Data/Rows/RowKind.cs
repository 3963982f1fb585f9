namespace Trainer.Data.Rows;

/// <summary>What a row is, told by its columns.</summary>
internal enum RowKind
{
    /// <summary><c>text</c>, or a document of a .txt file.</summary>
    Text,
    /// <summary><c>prompt</c> and <c>completion</c>, strings or message lists.</summary>
    Completion,
    /// <summary><c>messages</c>, or <c>conversations</c> (ShareGPT).</summary>
    Chat,
    /// <summary><c>instruction</c> and <c>output</c> (Alpaca).</summary>
    Instruction,
    /// <summary><c>input_ids</c>.</summary>
    Tokenized,
    /// <summary><c>chosen</c> and <c>rejected</c>, with or without their prompt.</summary>
    Pair,
    /// <summary>An answer and a <c>label</c>.</summary>
    Feedback,
    /// <summary>A prompt to be answered by the model; its other columns are for who rewards the answers.</summary>
    Prompt,
}
