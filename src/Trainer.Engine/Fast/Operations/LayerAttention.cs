namespace Trainer.Engine.Fast.Operations;

/// <summary>Operands of one layer's attention.</summary>
/// <param name="Shape">The heads.</param>
/// <param name="Query">Queries (T, heads, size), turned; rows may hold keys and values too, see <see cref="HeadShape.QueryStride"/>.</param>
/// <param name="Key">Keys (T, key heads, size), turned.</param>
/// <param name="Value">Values (T, key heads, size).</param>
/// <param name="Attended">The output (T, heads, size), dense.</param>
/// <param name="LogSums">Logarithm of each query's sum of exponentials (heads, T).</param>
/// <param name="Window">How many tokens a query sees, itself included; null for all before it.</param>
internal readonly record struct LayerAttention(HeadShape Shape, Place Query, Place Key, Place Value, Place Attended, Place LogSums, int? Window)
{
    /// <summary>A score for each head (heads) that takes its share of the softmax and gives no value, or none.</summary>
    public Place Sinks { get; init; }
}
