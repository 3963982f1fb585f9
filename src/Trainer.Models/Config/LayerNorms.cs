namespace Trainer.Models.Config;

/// <summary>Module names of the norms in a layer; null where there is none.</summary>
/// <param name="BeforeAttention">On the input of attention.</param>
/// <param name="AfterAttention">On its output, before the residual sum.</param>
/// <param name="BeforeMlp">On the input of the feed-forward block.</param>
/// <param name="AfterMlp">On its output, before the residual sum.</param>
public sealed record LayerNorms(string? BeforeAttention, string? AfterAttention, string? BeforeMlp, string? AfterMlp);
