using System.Runtime.InteropServices;
using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast;

/// <summary>Moves chosen rows of a matrix: the last layer computes only rows that carry loss.</summary>
internal static unsafe class Rows
{
    /// <summary>target[i] = source[index[i]].</summary>
    public static void Gather(float* source, int* index, long count, int width, float* target) => TorchThreads.For(0, count, 16, (begin, end) =>
    {
        for (var i = begin; i < end; i++) NativeMemory.Copy(source + index[i] * (long)width, target + i * width, (nuint)width * sizeof(float));
    });

    /// <summary>target = 0 but target[index[i]] = source[i].</summary>
    public static void Scatter(float* source, int* index, long count, int width, float* target, long rows)
    {
        NativeMemory.Clear(target, (nuint)(rows * width) * sizeof(float));
        TorchThreads.For(0, count, 16, (begin, end) =>
        {
            for (var i = begin; i < end; i++) NativeMemory.Copy(source + i * width, target + index[i] * (long)width, (nuint)width * sizeof(float));
        });
    }

    /// <summary>target[index[i]] += source[i]; the index has no repeats.</summary>
    public static void ScatterAdd(float* source, int* index, long count, int width, float* target) => TorchThreads.For(0, count, 16, (begin, end) =>
    {
        for (var i = begin; i < end; i++)
        {
            var row = target + index[i] * (long)width;
            Arithmetic.AddScaled(row, source + i * width, 1f, row, 0, width);
        }
    });
}
