namespace Trainer.Data.Answers;

/// <summary>What a model is asked, and the answer that is wanted.</summary>
/// <param name="Source">The row's file and line.</param>
/// <param name="Prompt">Token ids up to where the model is to speak.</param>
/// <param name="Reference">The wanted answer.</param>
public sealed record AnswerRow(RowSource Source, int[] Prompt, string Reference);
