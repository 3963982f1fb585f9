using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Layout;

/// <summary>One buffer among those of a pass.</summary>
/// <param name="Id">What it is.</param>
/// <param name="Index">Its layer or rotary table; -1 where there is one for all.</param>
/// <param name="Role">The linear whose adapter it belongs to, or null.</param>
/// <param name="Part">Path below the layer of a linear that its part alone knows; null where the role tells it.</param>
internal readonly record struct BufferKey(BufferId Id, int Index = -1, ModuleRole? Role = null, string? Part = null)
{
    /// <summary>Names the experts' adapters by the matrix that they hang on.</summary>
    public const string Experts = "experts";

    /// <summary>The last half of the key of a linear's buffers.</summary>
    public static (ModuleRole Role, string? Part) Of(ModuleBlueprint linear) => (linear.Role, linear.Role == ModuleRole.Part ? linear.PathInLayer : null);
}
