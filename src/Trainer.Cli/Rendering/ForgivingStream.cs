namespace Trainer.Cli.Rendering;

/// <summary>A stream whose failed writes are dropped.</summary>
internal sealed class ForgivingStream(Stream inner) : WriteOnlyStream
{
    public override void Flush()
    {
        try
        {
            inner.Flush();
        }
        catch (IOException)
        {
            // The reader is gone; there is nobody to tell.
        }
    }

    public override void Write(byte[] buffer, int offset, int count)
    {
        try
        {
            inner.Write(buffer, offset, count);
        }
        catch (IOException)
        {
            // The reader is gone; there is nobody to tell.
        }
    }
}
