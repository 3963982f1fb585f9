using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>Gemma 3n (text): four streams, a low-rank path beside attention, sparse activations, small inputs for each layer, shared keys and values.</summary>
internal static class Gemma3nFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var widths = reader.Ids("intermediate_size");
        if (widths.Count == 0) throw reader.Missing("intermediate_size");
        var config = FamilyBase.Common(reader, type,
            new FamilyDefaults { HeadSize = 256, Tied = true, VocabularySize = 262_400, HiddenSize = 2048, Heads = 8, KvHeads = 2, WidthIsList = true,
            IntermediateSize = widths[0] });
        var (activation, layers) = (GemmaFamily.ReadActivation(reader), config.LayerCount);
        if (widths.Count > 1 && widths.Count != layers) throw reader.Fault("intermediate_size", $"has {widths.Count} entries for {layers} layers");
        var sparsity = reader.Numbers("activation_sparsity_pattern") ?? [.. Enumerable.Range(0, layers).Select(_ => 0.0)];
        if (sparsity.Count != layers) throw reader.Fault("activation_sparsity_pattern", $"has {sparsity.Count} entries for {layers} layers");
        var firstShared = layers - reader.Int("num_kv_shared_layers", 15);
        if (firstShared < 1) throw reader.Fault("num_kv_shared_layers", $"leaves no layer with keys and values among {layers}");
        var isFull = FamilyBase.Sliding(reader, layers, l => (l + 1) % 5 != 0).Select(sliding => !sliding).ToArray();
        var window = reader.Positive("sliding_window", 512);
        var (streams, active) = (reader.Positive("altup_num_inputs", 4), reader.Int("altup_active_idx", 0));
        if (active < 0 || active >= streams) throw reader.Fault("altup_active_idx", $"is {active}, the streams are 0 to {streams - 1}");
        var local = reader.Has("rope_parameters")
            ? RopeReader.Read(reader, config.HeadSize, 10_000, layerType: "sliding_attention")
            : new RopeConfig { Theta = reader.PositiveNumber("rope_local_base_freq", 10_000), Dimensions = config.HeadSize,
                MaxPositions = config.MaxPositions };
        return (config with
        {
            EmbeddingMultiplier = Math.Sqrt(config.HiddenSize),
            LogitSoftCap = reader.PositiveNumberOrNull("final_logit_softcapping"),
            Ropes = [RopeReader.Read(reader, config.HeadSize, 1_000_000, layerType: "full_attention"), local],
            PerLayerInput = new PerLayerInput(reader.Positive("hidden_size_per_layer_input", 256), reader.Positive("vocab_size_per_layer_input", 262_144)),
            Streams = new FourStreams(streams, active, reader.Positive("laurel_rank", 64),
                reader.Bool("altup_correct_scale", true)),
        })
        .WithAttention((attention, l) => attention with
        {
            Scale = 1,
            Rope = isFull[l] ? 0 : 1,
            Window = isFull[l] ? null : window,
            QkNorm = QkNorm.PerHead,
            NormsValues = true,
            IsSource = l < firstShared && firstShared < config.LayerCount,
            KeysOfLayer = l >= firstShared ? GemmaSharing.LastOfKind(reader, isFull, firstShared, l) : null,
        })
        .WithLayers((layer, l) => layer with
        {
            FeedForward = (DenseFeedForward)layer.FeedForward with { Activation = activation, Width = widths[widths.Count > 1 ? l : 0],
                Sparsity = sparsity[l] },
            Norms = Gemma2Family.FourNorms,
        });
    }
}
