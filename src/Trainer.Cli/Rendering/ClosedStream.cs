namespace Trainer.Cli.Rendering;

/// <summary>Stands for a descriptor that the caller closed.</summary>
internal sealed class ClosedStream(string reason) : WriteOnlyStream
{
    public override void Flush() { }

    public override void Write(byte[] buffer, int offset, int count)
    {
        if (count > 0) throw new IOException(reason);
    }
}
