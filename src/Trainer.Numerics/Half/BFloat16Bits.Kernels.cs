using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Trainer.Numerics.Half;

public static unsafe partial class BFloat16Bits
{
    internal static void FromFloat(KernelWidth width, float* input, ushort* output, long count)
    {
        long i = 0;
        if (width == KernelWidth.Vector512)
        {
            for (; i + 16 <= count; i += 16)
            {
                var value = Vector512.Load(input + i);
                var bits = value.AsUInt32();
                var rounded = (bits + Vector512.Create(0x7FFFu) + ((bits >> 16) & Vector512.Create(1u))) >> 16;
                var ordered = Vector512.Equals(value, value).AsUInt32();
                Avx512F.ConvertToVector256UInt16(Vector512.ConditionalSelect(ordered, rounded, Vector512.Create(0x7FC0u))).Store(output + i);
            }
        }
        else if (width is KernelWidth.Vector256 or KernelWidth.Vector128)
        {
            for (; i + 8 <= count; i += 8)
                Vector128.Narrow(Rounded(Vector128.Load(input + i)), Rounded(Vector128.Load(input + i + 4))).Store(output + i);
        }
        for (; i < count; i++) output[i] = FromFloat(input[i]);
    }

    internal static void ToFloat(KernelWidth width, ushort* input, float* output, long count)
    {
        long i = 0;
        if (width == KernelWidth.Vector512)
        {
            for (; i + 16 <= count; i += 16)
                (Avx512F.ConvertToVector512UInt32(Vector256.Load(input + i)) << 16).AsSingle().Store(output + i);
        }
        else if (width == KernelWidth.Vector256)
        {
            for (; i + 8 <= count; i += 8)
                (Avx2.ConvertToVector256Int32(Vector128.Load(input + i)).AsUInt32() << 16).AsSingle().Store(output + i);
        }
        else if (width == KernelWidth.Vector128)
        {
            for (; i + 8 <= count; i += 8)
            {
                var (low, high) = Vector128.Widen(Vector128.Load(input + i));
                (low << 16).AsSingle().Store(output + i);
                (high << 16).AsSingle().Store(output + i + 4);
            }
        }
        for (; i < count; i++) output[i] = ToFloat(input[i]);
    }

    private static Vector128<uint> Rounded(Vector128<float> value)
    {
        var bits = value.AsUInt32();
        var rounded = (bits + Vector128.Create(0x7FFFu) + ((bits >> 16) & Vector128.Create(1u))) >> 16;
        return Vector128.ConditionalSelect(Vector128.Equals(value, value).AsUInt32(), rounded, Vector128.Create(0x7FC0u));
    }
}
