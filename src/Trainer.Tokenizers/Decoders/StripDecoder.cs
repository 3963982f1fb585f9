namespace Trainer.Tokenizers.Decoders;

/// <summary>Drops up to a number of one letter at each end of each token.</summary>
internal sealed class StripDecoder(string letter, int start, int stop) : IDecoder
{
    public List<string> Apply(List<string> tokens) => tokens.ConvertAll(token =>
    {
        var (begin, end) = (0, token.Length);
        for (var i = 0; i < start && string.CompareOrdinal(token, begin, letter, 0, letter.Length) == 0 && begin + letter.Length <= token.Length; i++)
            begin += letter.Length;
        for (var i = 0; i < stop && end - letter.Length >= begin && string.CompareOrdinal(token, end - letter.Length, letter, 0, letter.Length) == 0; i++)
            end -= letter.Length;
        return token[begin..end];
    });
}
