using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Generation;

/// <summary>What texts keep while they are continued: keys and values of every token, and states that go from token to token, in float32.</summary>
public static class TextMemory
{
    /// <summary>Bytes of texts of so many tokens.</summary>
    /// <param name="config">The model.</param>
    /// <param name="texts">Texts.</param>
    /// <param name="tokens">Tokens of all of them together, those that they may still grow by included.</param>
    public static long Bytes(ModelConfig config, long texts, long tokens) =>
        sizeof(float) * config.Layers.Sum(layer => tokens * PerToken(layer.Mixer) + texts * State(layer.Mixer, config.HiddenSize));

    /// <summary>How many texts can be continued at a time, the longest of them at once and beside them a beginning that they share.</summary>
    /// <param name="config">The model.</param>
    /// <param name="lengths">Tokens that each text may come to have, at least one text.</param>
    /// <param name="most">Texts that are wanted at a time.</param>
    /// <param name="free">Bytes for them.</param>
    /// <returns>Texts, 0 where a single one is too many; and the bytes that so many as are wanted take.</returns>
    public static (int Texts, long WantedBytes) Fitting(ModelConfig config, IReadOnlyList<long> lengths, int most, long free)
    {
        List<long> longest = [.. lengths.OrderDescending()];
        var wanted = Math.Min(most, longest.Count);
        long Needed(int texts) => Bytes(config, texts + 1L, longest.Take(texts).Sum() + longest[0]);
        return (Enumerable.Range(1, wanted).LastOrDefault(texts => Needed(texts) <= free), Needed(wanted));
    }

    // Keys and values of a layer that reads an earlier one's are not its own.
    private static long PerToken(TokenMixer mixer) => mixer switch
    {
        SelfAttention { KeysOfLayer: null } attention => 2L * attention.KvHeads * attention.HeadSize,
        LatentAttention latent => 2L * latent.Heads * latent.HeadSize,
        SideBySide both => PerToken(both.Attention),
        _ => 0,
    };

    private static long State(TokenMixer mixer, int hidden) => mixer switch
    {
        GatedDelta delta => (long)delta.ValueHeads * delta.KeySize * delta.ValueSize + (delta.Taps - 1L) * delta.Channels,
        Mamba2 mamba => (long)mamba.Heads * mamba.StateSize * mamba.HeadSize + (mamba.Taps - 1L) * mamba.Channels,
        ShortConvolution convolution => (convolution.Taps - 1L) * hidden,
        SideBySide both => State(both.Mamba, hidden),
        _ => 0,
    };
}
