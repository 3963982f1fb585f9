using Trainer.Numerics.Half;
using Trainer.Numerics.Wide;

namespace Trainer.Numerics.Dot;

/// <summary>How the values of a matrix row are stored: read sixteen at a time, and one at a time for the specification and the tail of a row.</summary>
internal unsafe interface IElements
{
    static abstract int Bytes { get; }

    static abstract T Load<T>(byte* at) where T : struct, ILanes<T>;

    static abstract float One(byte* at);
}

internal readonly unsafe struct FloatElements : IElements
{
    public static int Bytes => sizeof(float);

    public static T Load<T>(byte* at) where T : struct, ILanes<T> => T.Load((float*)at);

    public static float One(byte* at) => *(float*)at;
}

internal readonly unsafe struct BFloat16Elements : IElements
{
    public static int Bytes => sizeof(ushort);

    public static T Load<T>(byte* at) where T : struct, ILanes<T> => T.LoadBFloat16((ushort*)at);

    public static float One(byte* at) => BFloat16Bits.ToFloat(*(ushort*)at);
}

internal readonly unsafe struct Int8Elements : IElements
{
    public static int Bytes => sizeof(sbyte);

    public static T Load<T>(byte* at) where T : struct, ILanes<T> => T.LoadInt8((sbyte*)at);

    public static float One(byte* at) => *(sbyte*)at;
}
