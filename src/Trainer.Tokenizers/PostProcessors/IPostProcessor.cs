namespace Trainer.Tokenizers.PostProcessors;

/// <summary>The last step of encoding: trims offsets, adds special tokens.</summary>
internal interface IPostProcessor
{
    /// <summary>Gives the tokens after this step.</summary>
    List<EncodedToken> Apply(List<EncodedToken> tokens, string input, bool addSpecialTokens);
}
