namespace Trainer.Engine.Fast.Libtorch;

/// <summary>What memory of a device is held for.</summary>
internal enum DeviceUse
{
    /// <summary>Frozen matrices, as they are stored, and the tables that decode them.</summary>
    Weights,
    /// <summary>Rooms that streamed layers take turns in.</summary>
    Rooms,
    /// <summary>The buffers of a pass, keys and values.</summary>
    Buffers,
}
