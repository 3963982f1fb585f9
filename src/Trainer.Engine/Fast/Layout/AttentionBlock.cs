namespace Trainer.Engine.Fast.Layout;

/// <summary>Queries that attend together, and the keys that any of them sees.</summary>
/// <param name="Query">First query.</param>
/// <param name="Count">Queries.</param>
/// <param name="Key">First key.</param>
/// <param name="Keys">Keys.</param>
internal readonly record struct AttentionBlock(int Query, int Count, int Key, int Keys);
