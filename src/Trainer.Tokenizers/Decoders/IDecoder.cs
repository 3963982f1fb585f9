namespace Trainer.Tokenizers.Decoders;

/// <summary>Turns the texts of tokens towards plain text.</summary>
internal interface IDecoder
{
    /// <summary>Gives the list after this step; the results are joined at the end.</summary>
    List<string> Apply(List<string> tokens);
}
