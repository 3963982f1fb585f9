namespace Trainer.Tokenizers.Unigram;

/// <summary>Scores and rules of a Unigram model.</summary>
/// <param name="Scores">Logarithm of each piece's probability, by id.</param>
/// <param name="LeastScore">The smallest score of all pieces that count.</param>
/// <param name="UnknownId">Id of the unknown token, or -1.</param>
/// <param name="ByteTokens">Ids of the 256 byte tokens that stand for unknown letters, or null.</param>
/// <param name="IsSingle">Scores are kept in single precision, as SentencePiece does.</param>
internal sealed record UnigramOptions(double[] Scores, double LeastScore, int UnknownId, int[]? ByteTokens, bool IsSingle);
