namespace Trainer.Tokenizers.Decoders;

/// <summary>Turns the texts of tokens towards plain text.</summary>
internal interface IDecoder
{
    /// <summary>Whether the text of the first tokens never depends on tokens behind them (but for half letters and byte runs).</summary>
    bool IsIncremental => true;

    /// <summary>Gives the list after this step; the results are joined at the end.</summary>
    List<string> Apply(List<string> tokens);
}
