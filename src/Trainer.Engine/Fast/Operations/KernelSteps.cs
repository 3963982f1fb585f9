namespace Trainer.Engine.Fast.Operations;

/// <summary>Small steps of more than one operation.</summary>
internal static class KernelSteps
{
    /// <summary>target = factor source.</summary>
    public static void CopyScaled(this IKernels kernels, Place source, float factor, Place target, long count)
    {
        kernels.Copy(source, count, target, count, count, 1);
        if (factor != 1f) kernels.Scale(target, count, factor);
    }
}
