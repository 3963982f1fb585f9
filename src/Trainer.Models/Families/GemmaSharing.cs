using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>Late layers of Gemma 3n and 4 use the keys and values of earlier ones.</summary>
internal static class GemmaSharing
{
    /// <summary>The last layer before the sharing ones that is of a layer's kind.</summary>
    public static int LastOfKind(ConfigReader reader, bool[] isFull, int firstShared, int layer)
    {
        for (var l = firstShared - 1; l >= 0; l--)
            if (isFull[l] == isFull[layer]) return l;
        throw reader.Fault("num_kv_shared_layers",
            $"leaves layer {layer} without an earlier {(isFull[layer] ? "full" : "sliding")} layer to take keys and values from");
    }
}
