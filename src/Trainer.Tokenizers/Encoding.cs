namespace Trainer.Tokenizers;

/// <summary>
/// The tokens of one text. <c>Offsets[i]</c> is the half-open range of UTF-16 characters of the input that token <c>i</c> came from;
/// a token that a template added (BOS, EOS) has (0, 0), and the byte tokens of one letter all have the range of that letter.
/// </summary>
/// <param name="Ids">Token ids, in order.</param>
/// <param name="Offsets">One range per id.</param>
public sealed record Encoding(int[] Ids, (int Start, int End)[] Offsets);
