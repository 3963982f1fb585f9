namespace Trainer.Engine.Fast.Operations;

/// <summary>Type of the elements at a place in a device's memory.</summary>
internal enum ElementType
{
    Float32,
    Float64,
    Int32,
    Byte,
}
