using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Trainer.Engine.Native;

/// <summary>Tells the BLAS inside libtorch to stay on the thread that calls it: a team of ours would otherwise have a team of its own at each thread.</summary>
internal static unsafe class SerialBlas
{
    // MKL's setting is of the calling thread alone, and so is OpenMP's number of threads, which OpenBLAS takes.
    private static readonly delegate* unmanaged[Cdecl]<int, int> Mkl
        = (delegate* unmanaged[Cdecl]<int, int>)Find("MKL_Set_Num_Threads_Local");
    private static readonly delegate* unmanaged[Cdecl]<int, void> Set
        = (delegate* unmanaged[Cdecl]<int, void>)Find("omp_set_num_threads");
    private static readonly delegate* unmanaged[Cdecl]<int> Most
        = (delegate* unmanaged[Cdecl]<int>)Find("omp_get_max_threads");

    /// <summary>Whether it can be told. Where not, as in libtorch for Windows, loops run on libtorch's own threads, inside which its BLAS stays on
    /// one.</summary>
    public static bool IsKnown => Mkl != null || (Set != null && Most != null);

    /// <summary>From here on the calling thread's products are its own; returns what <see cref="Leave"/> needs.</summary>
    public static int Enter()
    {
        if (Mkl != null) return Mkl(1);
        if (!IsKnown) return 0;
        var before = Most();
        Set(1);
        return before;
    }

    /// <summary>As it was before.</summary>
    /// <param name="before">What <see cref="Enter"/> returned.</param>
    public static void Leave(int before)
    {
        if (Mkl != null) _ = Mkl(before);
        else if (IsKnown) Set(before);
    }

    /// <summary>The same for a thread that does nothing else.</summary>
    public static void EnterForGood()
    {
        if (Mkl != null) _ = Mkl(1);
        if (Set != null) Set(1);
    }

    private static IntPtr Find(string name)
    {
        RuntimeHelpers.RunClassConstructor(typeof(torch).TypeHandle);
        return NativeLibrary.TryLoad("torch_cpu", typeof(torch).Assembly, null, out var library)
            && NativeLibrary.TryGetExport(library, name, out var address) ? address : IntPtr.Zero;
    }
}
