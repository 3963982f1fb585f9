namespace Trainer.Models.Config;

/// <summary>A multimodal model around a text model: text alone is computed exactly as by the text model.</summary>
/// <param name="TextType">model_type of the text model where text_config does not say.</param>
/// <param name="Tied">Whether embeddings are tied where the top level does not say; text_config's own flag does not count.</param>
/// <param name="Ignored">Beginnings of the names of tensors that belong to the other towers.</param>
internal sealed record Wrapper(string TextType, bool Tied, IReadOnlyList<string> Ignored)
{
    /// <summary>Old config.json files hold the text model's keys at the top.</summary>
    public bool MayBeFlat { get; init; }

    /// <summary>The object that describes the text model.</summary>
    public ConfigReader TextOf(ConfigReader reader)
    {
        if (reader.Object("text_config") is { } text) return text;
        if (!MayBeFlat) throw reader.Missing("text_config");
        _ = reader.Object("vision_config");
        return reader;
    }

    /// <summary>The text model's config as part of this model.</summary>
    public ModelConfig Around(ModelConfig text, string type, ConfigReader reader) => text with
    {
        WrapperType = type,
        TextPath = "model.language_model",
        TiedEmbeddings = reader.Bool("tie_word_embeddings", Tied),
        IgnoredTensors = [.. text.IgnoredTensors, .. Ignored],
    };
}
