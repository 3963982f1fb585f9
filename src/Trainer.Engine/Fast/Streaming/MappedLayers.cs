using Trainer.Engine.Weights;
using Trainer.Models;

namespace Trainer.Engine.Fast.Streaming;

/// <summary>Layers used where they are mapped: loading reads their pages in, letting go unmaps them, and the page cache keeps them as long as it has
/// room.</summary>
internal sealed unsafe class MappedLayers(StreamedLayout layout, StreamedFiles files) : ILayerSource
{
    public string Description => "through the page cache";

    public void Load(int layer, CancellationToken stop)
    {
        files.Check(layout.FilesOf(layer));
        foreach (var extent in layout.Extents(layer))
        {
            stop.ThrowIfCancellationRequested();
            if (!MappedPages.TryPopulate((void*)extent.Start, extent.End - extent.Begin))
                throw new ModelException($"cannot read '{extent.Path}' at bytes {extent.Begin} to {extent.End}: it was cut off, or the disk does not give "
                    + "them; check the disk and the file");
        }
        files.Check(layout.FilesOf(layer));
    }

    public IntPtr Find(int layer, IntPtr mapped) => mapped;

    public void Place(int layer)
    {
    }

    public void Release(int layer)
    {
        foreach (var extent in layout.Extents(layer)) MappedPages.Drop((void*)extent.Start, extent.End - extent.Begin);
    }

    public void Dispose()
    {
    }
}
