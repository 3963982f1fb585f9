using Trainer.Engine.Passes;
using Trainer.Models.Drawing;
using Trainer.Models.Parts;

namespace Trainer.Engine.Reference;

/// <summary>
/// What a step of the reference engine takes, estimated: libtorch's graph keeps what it likes, so unlike the hand-written engine's buffers this is no exact
/// count.
/// </summary>
public static class ReferenceMemory
{
    // Matrices written out as float32 for one product, and their copy in the compute type.
    private const long PanelBytes = 2 * (4L << 20) * sizeof(float);
    private const long ChunkLogits = 16 << 20;

    /// <summary>Bytes of a step, frozen weights and parameters apart.</summary>
    /// <param name="adapter">The model with what is trained of it.</param>
    /// <param name="batch">The batch.</param>
    /// <param name="recomputes">Whether layer inputs alone are kept.</param>
    public static long StepBytes(AdapterBlueprint adapter, BatchShape batch, bool recomputes)
    {
        ArgumentNullException.ThrowIfNull(adapter);
        ArgumentNullException.ThrowIfNull(batch);
        var config = adapter.Decoder.Config;
        var layers = Math.Max(0, config.LayerCount - Math.Max(0, adapter.LowestLayer));
        // The stream twice over: an input kept for each layer, and the gradient.
        var stream = batch.Tokens * config.HiddenSize * (config.LayerCount + 3L);
        // A backward pass holds about as much again as the graph of its layer.
        var graphs = Graph(adapter, batch) * (recomputes ? 2 : layers + 1);
        var logits = 4 * Math.Min(batch.LossRows, Math.Clamp(ChunkLogits / config.VocabularySize, 16, 4096)) * config.VocabularySize;
        return sizeof(float) * (stream + graphs + logits + 2 * batch.LossRows * config.HiddenSize) + PanelBytes;
    }

    // Floats that the graph of one layer keeps.
    private static long Graph(AdapterBlueprint adapter, BatchShape batch)
    {
        var config = adapter.Decoder.Config;
        var modules = adapter.Decoder.Layer(config.LayerCount - 1);
        // Each product's output and what an element-wise operation makes of it; a norm keeps its input, its scaled input and its output.
        var products = modules.Where(module => module.Kind == ModuleKind.Linear).Sum(module => 2 * module.Rows);
        var norms = modules.Where(module => module.Kind == ModuleKind.Norm).Sum(module => 3 * Math.Max(module.Rows, config.HiddenSize));
        var ranks = adapter.Modules.Where(trained => trained.Module.Layer == config.LayerCount - 1 && trained.Update is not null)
            .Sum(trained => trained.Update!.Rank + trained.Update.Outputs + (trained.Update.Dropout > 0 ? 2 * trained.Update.Inputs : 0));
        // Keys and values repeated for the query heads that share them; scores of whole segments where they are capped.
        var attention = 4L * config.Heads * config.HeadSize;
        var scores = config.AttentionSoftCap is null ? 0 : 4L * config.Heads * batch.Longest * batch.Tokens;
        return batch.Tokens * (products + norms + ranks + attention + 2L * config.HiddenSize) + scores;
    }
}
