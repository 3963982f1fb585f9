using TorchSharp;
using Trainer.Engine.Native;
using Trainer.Numerics.Machine;
using static TorchSharp.torch;

namespace Trainer.Engine.Tests.Fast;

[Trait("ring", "model")]
public sealed unsafe class NativeTests
{
    [Fact]
    public void Every_index_is_visited_exactly_once_and_parts_start_at_units()
    {
        var visits = new int[1003];
        var starts = new System.Collections.Concurrent.ConcurrentBag<long>();
        ComputeThreads.ForUnits(0, 1003, 64, 64, (begin, end) =>
        {
            starts.Add(begin);
            for (var i = begin; i < end; i++) Interlocked.Increment(ref visits[i]);
        });
        Assert.All(visits, count => Assert.Equal(1, count));
        Assert.All(starts, start => Assert.Equal(0, start % 64));
    }

    [Fact]
    public void An_exception_on_a_worker_reaches_the_caller()
    {
        var thrown = Assert.Throws<ArithmeticException>(() => ComputeThreads.For(0, 1000, 1, (_, _) => throw new ArithmeticException("here")));
        Assert.Equal("here", thrown.Message);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void Products_of_strided_memory_equal_the_sum_of_products_on_both_ways_into_libtorch(bool ta, bool tb)
    {
        const int m = 5, n = 7, k = 11, lda = 13, ldb = 14, ldc = 9;
        var random = new Random(1);
        float[] a = Fill(random, 13 * 13), b = Fill(random, 14 * 14), c0 = Fill(random, m * ldc), blas = [.. c0], torch = [.. c0];
        fixed (float* pa = a, pb = b, p1 = blas, p2 = torch)
        {
            Gemm.Blas(ta, tb, m, n, k, 0.5f, pa, lda, pb, ldb, 2f, p1, ldc);
            Gemm.Torch(ta, tb, m, n, k, 0.5f, pa, lda, pb, ldb, 2f, p2, ldc);
        }
        for (var i = 0; i < m; i++)
        {
            for (var j = 0; j < ldc; j++)
            {
                double expected = c0[i * ldc + j];
                if (j < n)
                {
                    expected *= 2;
                    for (var x = 0; x < k; x++) expected += 0.5 * a[ta ? x * lda + i : i * lda + x] * b[tb ? j * ldb + x : x * ldb + j];
                }
                Assert.Equal(expected, blas[i * ldc + j], 1e-5);
                Assert.Equal(expected, torch[i * ldc + j], 1e-5);
            }
        }
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void Flash_attention_with_shared_key_heads_equals_autograd_on_repeated_ones(bool causal, bool masked)
    {
        const int kv = 2, group = 3, length = 37, size = 8;
        using var scope = NewDisposeScope();
        manual_seed(3);
        var q = randn(length, kv * group, size, requires_grad: true);
        var k = randn(length, kv, size, requires_grad: true);
        var v = randn(length, kv, size, requires_grad: true);
        var g = randn(length, kv * group, size);
        var mask = masked ? randn(length, length) : null;
        Tensor Lift(Tensor x) => x.transpose(0, 1).unsqueeze(0);
        Tensor Repeat(Tensor x) => x.unsqueeze(2).expand(length, kv, group, size).reshape(length, kv * group, size);
        var scores = Lift(q).matmul(Lift(Repeat(k)).transpose(2, 3)) * 0.3;
        if (masked) scores += mask!;
        if (causal) scores = scores.masked_fill(ones(length, length, dtype: ScalarType.Bool).triu(1), float.NegativeInfinity);
        var expected = scores.softmax(-1).matmul(Lift(Repeat(v))).squeeze(0).transpose(0, 1);
        expected.backward([g]);

        float* Of(Tensor x) => TorchMemory.Pointer(x);
        var query = TorchMemory.View(Of(q), [kv, group, length, size], [group * size, size, kv * group * size, 1]);
        var gradient = TorchMemory.View(Of(g), [kv, group, length, size], [group * size, size, kv * group * size, 1]);
        var key = TorchMemory.View(Of(k), [kv, group, length, size], [size, 0, kv * size, 1]);
        var value = TorchMemory.View(Of(v), [kv, group, length, size], [size, 0, kv * size, 1]);
        var bias = mask?.unsqueeze(0).unsqueeze(0);
        using var quiet = no_grad();
        var (output, logSum) = FlashAttention.Forward(query, key, value, causal, bias, 0.3);
        var (dq, dk, dv) = FlashAttention.Backward(gradient, query, key, value, output, logSum, causal, bias, 0.3);
        Tensor Flat(Tensor x) => x.permute(2, 0, 1, 3).reshape(length, kv * group, size);
        Near(expected, Flat(output));
        Near(q.grad!, Flat(dq));
        Near(k.grad!, dk.sum(1).transpose(0, 1));
        Near(v.grad!, dv.sum(1).transpose(0, 1));
    }

    [Fact]
    public void Freed_memory_can_be_given_back_and_the_peak_is_known()
    {
        if (OperatingSystem.IsLinux()) ResidentMemory.Trim();
        Assert.InRange(SystemMemory.Peak, SystemMemory.Resident / 2, 1L << 40);
    }

    private static void Near(Tensor expected, Tensor actual) => Assert.InRange((expected - actual).abs().max().item<float>(), 0f, 1e-5f);

    private static float[] Fill(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() - 0.5))];
}
