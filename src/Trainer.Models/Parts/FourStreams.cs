namespace Trainer.Models.Parts;

/// <summary>Several streams in place of one (Gemma 3n, AltUp, arXiv 2301.13310): a layer computes one of them, predicts the others and corrects them
/// all.</summary>
/// <param name="Count">Streams.</param>
/// <param name="Active">The stream that layers compute, zero-based.</param>
/// <param name="LaurelRank">Rank of the low-rank path beside attention.</param>
/// <param name="ScalesCorrected">The computed stream is multiplied by a learned vector before the per-layer input.</param>
public sealed record FourStreams(int Count, int Active, int LaurelRank, bool ScalesCorrected);
