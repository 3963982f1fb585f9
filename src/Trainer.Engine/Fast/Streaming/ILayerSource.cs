using Trainer.Models;

namespace Trainer.Engine.Fast.Streaming;

/// <summary>Brings the weights of one layer into memory and lets them go. Loading runs on the reader's thread, all else on the computing one.</summary>
internal interface ILayerSource : IDisposable
{
    /// <summary>How it reads, in words.</summary>
    string Description { get; }

    /// <summary>Reads a layer; whoever computes does not touch it before this returns.</summary>
    /// <exception cref="ModelException">The file cannot be read, is cut off or changed.</exception>
    /// <exception cref="OperationCanceledException">Asked to stop.</exception>
    void Load(int layer, CancellationToken stop);

    /// <summary>Where a part that is mapped lies once its layer was read, until it is let go.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="mapped">The part's address in the mapping.</param>
    IntPtr Find(int layer, IntPtr mapped);

    /// <summary>The layer's weights are used from where they were loaded to.</summary>
    void Place(int layer);

    /// <summary>The layer's memory goes; its weights read the mapping again.</summary>
    void Release(int layer);
}
