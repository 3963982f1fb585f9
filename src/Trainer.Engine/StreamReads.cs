namespace Trainer.Engine;

/// <summary>How a streamed base is read from its files.</summary>
public enum StreamReads
{
    /// <summary>Through the mapping where the page cache can hold the base, past it where not.</summary>
    Auto,
    /// <summary>Through the mapping and the page cache.</summary>
    Mapped,
    /// <summary>Past the page cache into buffers of our own; where the file system refuses that, through the mapping.</summary>
    Direct,
}
