using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Passes;
using Trainer.Models.Drawing;

namespace Trainer.Engine.Fast;

/// <summary>The buffers of a pass of the hand-written engine, from the drawing alone: what the engine cuts its arena by is what the plan adds up.</summary>
public static class EngineLayout
{
    /// <summary>The buffers of a pass.</summary>
    /// <param name="adapter">The model with what is trained of it.</param>
    /// <param name="batch">The batch.</param>
    /// <param name="mode">What the pass is for.</param>
    /// <param name="engine">The engine's choices.</param>
    /// <param name="isApart">Whether the batch's own buffers lie in a block of their own.</param>
    public static PassLayout Of(AdapterBlueprint adapter, BatchShape batch, PassMode mode, EngineShape engine, bool isApart = false)
    {
        ArgumentNullException.ThrowIfNull(engine);
        var builder = new LayoutBuilder(adapter, batch, mode, engine);
        return new(builder.Buffers(), engine.Threads, engine.Guard, isApart)
        {
            Tokens = batch.Tokens, IsOfTexts = mode == PassMode.Logits && batch.Past > 0, IsSubset = builder.IsSubset,
            LossRows = builder.LossRows, LossChunk = builder.LossChunk, Attention = builder.Attention,
        };
    }
}
