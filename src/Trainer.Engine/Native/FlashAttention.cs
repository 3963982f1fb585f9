using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Engine.Native;

/// <summary>libtorch's CPU flash attention and its backward pass, called outside autograd on strided memory.</summary>
/// <remarks>
/// Tensors are (batch, heads, tokens, size) in any strides with a dense last dimension. Heads may share keys through a stride of 0:
/// grouped queries need no repeated copy in the forward pass; gradients of keys and values come back for each query head.
/// </remarks>
internal static unsafe partial class FlashAttention
{
    /// <summary>Output (batch, heads, tokens, size) and the logarithm of the softmax sum (batch, heads, tokens). The caller disposes both.</summary>
    /// <param name="query">Queries.</param>
    /// <param name="key">Keys.</param>
    /// <param name="value">Values.</param>
    /// <param name="causal">Query i sees keys 0 to i.</param>
    /// <param name="mask">Added to scores, (1, 1, queries, keys), or null.</param>
    /// <param name="scale">Multiplier of scores.</param>
    public static (Tensor Output, Tensor LogSum) Forward(Tensor query, Tensor key, Tensor value, bool causal, Tensor? mask, double scale)
    {
        IntPtr output, logSum;
        var maskHandle = mask?.Handle ?? IntPtr.Zero;
        var code = ForwardNative(query.Handle, key.Handle, value.Handle, 0, causal ? 1 : 0, mask is null ? null : &maskHandle, &scale, &output, &logSum);
        GC.KeepAlive(query);
        GC.KeepAlive(key);
        GC.KeepAlive(value);
        GC.KeepAlive(mask);
        if (code != 0) throw new InvalidOperationException($"libtorch's flash attention failed (code {code})");
        return (Tensor.UnsafeCreateTensor(output), Tensor.UnsafeCreateTensor(logSum));
    }

    /// <summary>Gradients of query, key and value, each with the query's head count. The caller disposes them.</summary>
    public static (Tensor Query, Tensor Key, Tensor Value) Backward(
        Tensor gradient, Tensor query, Tensor key, Tensor value, Tensor output, Tensor logSum, bool causal, Tensor? mask, double scale)
    {
        IntPtr q, k, v;
        var maskHandle = mask?.Handle ?? IntPtr.Zero;
        var code = BackwardNative(
            gradient.Handle, query.Handle, key.Handle, value.Handle, output.Handle, logSum.Handle, 0, causal ? 1 : 0, mask is null ? null : &maskHandle, &scale,
            &q, &k, &v);
        GC.KeepAlive(gradient);
        GC.KeepAlive(query);
        GC.KeepAlive(key);
        GC.KeepAlive(value);
        GC.KeepAlive(output);
        GC.KeepAlive(logSum);
        GC.KeepAlive(mask);
        if (code != 0) throw new InvalidOperationException($"libtorch's flash attention failed in its backward pass (code {code})");
        return (Tensor.UnsafeCreateTensor(q), Tensor.UnsafeCreateTensor(k), Tensor.UnsafeCreateTensor(v));
    }

    [LibraryImport("torch_cpu", EntryPoint = "aoti_torch_cpu__scaled_dot_product_flash_attention_for_cpu")]
    private static partial int ForwardNative(
        IntPtr query, IntPtr key, IntPtr value, double dropout, int causal, IntPtr* mask, double* scale, IntPtr* output, IntPtr* logSum);

    [LibraryImport("torch_cpu", EntryPoint = "aoti_torch_cpu__scaled_dot_product_flash_attention_for_cpu_backward")]
    private static partial int BackwardNative(
        IntPtr gradient, IntPtr query, IntPtr key, IntPtr value, IntPtr output, IntPtr logSum, double dropout, int causal, IntPtr* mask, double* scale,
        IntPtr* queryGradient, IntPtr* keyGradient, IntPtr* valueGradient);
}
