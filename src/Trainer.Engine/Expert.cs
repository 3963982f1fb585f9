using TorchSharp;
using Trainer.Engine.Weights;

namespace Trainer.Engine;

/// <summary>One expert's frozen matrices.</summary>
/// <param name="GateUp">Gate and up [2 x width, hidden], gate first (in gpt-oss in turns).</param>
/// <param name="GateUpBias">Their bias, float32, or null. Owned by the model.</param>
/// <param name="Down">Down [hidden, width].</param>
/// <param name="DownBias">Its bias, float32, or null. Owned by the model.</param>
public sealed record Expert(IFrozenWeight GateUp, torch.Tensor? GateUpBias, IFrozenWeight Down, torch.Tensor? DownBias)
{
    /// <summary>An adapter on this expert's gate alone, or null.</summary>
    public LinearAdapter? Gate { get; set; }

    /// <summary>An adapter on this expert's up alone, or null.</summary>
    public LinearAdapter? Up { get; set; }

    /// <summary>An adapter on this expert's down alone, or null.</summary>
    public LinearAdapter? DownAdapter { get; set; }

    /// <summary>Whether it has an adapter of its own.</summary>
    public bool IsTrained => Gate is not null || Up is not null || DownAdapter is not null;
}
