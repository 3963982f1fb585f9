using Trainer.Models.Native;
using TorchSharp;

namespace Trainer.Models.Fast;

/// <summary>Tokens of one segment as flash attention sees them: (kv heads, group, tokens, size) over flat rows.</summary>
internal static unsafe class AttentionView
{
    /// <summary>Queries, outputs and their gradients: each key head's group of query heads lies side by side.</summary>
    public static torch.Tensor OfQueries(FastShape shape, float* rows, long stride, long begin, long count)
        => TorchMemory.View(rows + begin * stride, [shape.KvHeads, shape.Group, count, shape.HeadSize], [(long)shape.Group * shape.HeadSize, shape.HeadSize, stride, 1]);

    /// <summary>Keys or values: a group shares its head through a stride of 0.</summary>
    public static torch.Tensor OfKeys(FastShape shape, float* rows, long stride, long begin, long count)
        => TorchMemory.View(rows + begin * stride, [shape.KvHeads, shape.Group, count, shape.HeadSize], [shape.HeadSize, 0, stride, 1]);
}
