namespace Trainer.Models.Parts;

/// <summary>
/// A small vector of each token for each layer (Gemma 3n and 4): u = (norm(P e / sqrt(hidden)) + sqrt(size) E2[token]) / sqrt(2) with the scaled embedding e;
/// a layer adds norm(W (gelu(G h) * u)) to the stream.
/// </summary>
/// <param name="Size">Elements for each layer.</param>
/// <param name="VocabularySize">Rows of the second embedding table; tokens beyond them take row 0.</param>
public sealed record PerLayerInput(int Size, int VocabularySize);
