namespace Trainer.Models;

/// <summary>The token embedding.</summary>
public sealed class EmbeddingModule
{
    internal EmbeddingModule(string name, IFrozenWeight weight)
    {
        Name = name;
        Weight = weight;
    }

    /// <summary>Module path, <c>model.embed_tokens</c>.</summary>
    public string Name { get; }

    /// <summary>The frozen table [vocabulary, hidden].</summary>
    public IFrozenWeight Weight { get; }

    /// <summary>A trained copy which replaces <see cref="Weight"/>, or null.</summary>
    public ParameterEntry? Trained { get; set; }
}
