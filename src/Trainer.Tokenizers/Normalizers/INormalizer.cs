using Trainer.Tokenizers.Alignment;

namespace Trainer.Tokenizers.Normalizers;

/// <summary>Changes a text and keeps track of where each letter came from.</summary>
internal interface INormalizer
{
    /// <summary>Gives the changed text, or the same instance where nothing changes.</summary>
    AlignedText Apply(AlignedText text);
}
