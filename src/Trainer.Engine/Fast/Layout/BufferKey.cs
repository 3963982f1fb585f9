namespace Trainer.Engine.Fast;

/// <summary>One buffer among those of a pass.</summary>
/// <param name="Id">What it is.</param>
/// <param name="Index">Its layer or rotary table; -1 where there is one for all.</param>
/// <param name="Role">The linear whose adapter it belongs to, or null.</param>
internal readonly record struct BufferKey(BufferId Id, int Index = -1, ModuleRole? Role = null);
