using Trainer.Engine.Fast.Cpu;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Engine.Tests.Training;
using Trainer.Models;
using Trainer.Training;
using Trainer.Training.Proof;

namespace Trainer.Engine.Tests.Fast.FakeDevice;

/// <summary>A device is proven at first use: a wrong one is refused, a wrong kernel of our own is switched off, a right one stays.</summary>
[Trait("ring", "model")]
public sealed class FakeProofTests : IDisposable
{
    private readonly string _cache = Directory.CreateTempSubdirectory("proofs-").FullName;
    private readonly List<string> _told = [];

    [Fact]
    public void A_right_kernel_takes_the_place_of_its_operation()
    {
        var calls = 0;
        using var run = Run(Gate(1f, () => calls++));
        ProvenDevices.Require(run.Options, ComputeDevice.Stand, _told.Add, default, _cache);
        Assert.Equal(2, _told.Count);
        Assert.StartsWith("first use of the processor, by libtorch's operations", _told[0], StringComparison.Ordinal);
        Assert.StartsWith("it agrees: mean loss, a base as stored: ", _told[1], StringComparison.Ordinal);
        Assert.True(calls > 0, "the kernel was not asked");
        var outcome = DeviceProof.Run(run.Options, ComputeDevice.Stand, default);
        Assert.True(outcome is { Holds: true, SwitchedOff.Count: 0, Rows.Count: 5 }, outcome.Table);
        // Found again, nothing is computed.
        calls = 0;
        ProvenDevices.Require(run.Options, ComputeDevice.Stand, _told.Add, default, _cache);
        Assert.Equal((2, 0), (_told.Count, calls));
    }

    [Fact]
    public void A_wrong_kernel_is_switched_off_that_is_said_and_runs_are_those_without_it()
    {
        using var plain = Run();
        var expected = plain.Run().AdapterSha256;
        var calls = 0;
        using var run = Run(Gate(1.01f, () => calls++));
        // Where no proof has passed it, none of our own is used.
        var path = ProofFile(() => ProvenDevices.Again(run.Options, ComputeDevice.Stand, default));
        try
        {
            ProvenDevices.Require(run.Options, ComputeDevice.Stand, _told.Add, default);
            Assert.Contains("our own kernels for Gate are switched off on the processor, by libtorch's operations", Assert.Single(_told),
                StringComparison.Ordinal);
            calls = 0;
            Assert.Equal(expected, run.Run().AdapterSha256);
            Assert.Equal(0, calls);
        }
        finally
        {
            File.Delete(path);
        }
        run.Options = run.Options with { OverwriteOutputDirectory = true };
        Assert.Equal(expected, run.Run().AdapterSha256);
        Assert.Equal(0, calls);
    }

    [Fact]
    public void A_device_that_computes_something_else_is_refused_then_and_later()
    {
        var made = 0;
        using var run = Run();
        run.Options = run.Options with { Loading = options => options with { Kernels = (shape, _, panels) =>
        {
            made++;
            // Its products are rounded to 16 bits, whatever was asked for.
            return new FakeKernels(new Trainer.Engine.Fast.Libtorch.TorchKernels(shape, ComputeKind.BFloat16, panels, "cpu", keepsWeights: true), 1);
        } } };
        for (var use = 0; use < 2; use++)
        {
            var fault = Assert.Throws<DeviceException>(() => ProvenDevices.Require(run.Options, ComputeDevice.Stand, _told.Add, default, _cache));
            Assert.StartsWith("--device libtorch: what the processor, by libtorch's operations", fault.Message, StringComparison.Ordinal);
            Assert.Contains("(TOO FAR)", fault.Message, StringComparison.Ordinal);
            Assert.Contains("'trainer selftest --device libtorch' compares again", fault.Message, StringComparison.Ordinal);
            if (use == 0) Assert.True(made > 0);
            made = 0;
        }
        Assert.Single(_told);
        // What cannot be read is proven anew.
        File.WriteAllText(Assert.Single(Directory.GetFiles(_cache)), "{");
        Assert.Throws<DeviceException>(() => ProvenDevices.Require(run.Options, ComputeDevice.Stand, _told.Add, default, _cache));
        Assert.True(made > 0, "a damaged outcome was believed");
    }

    [Fact]
    public void A_kernel_of_no_operation_or_of_another_shape_is_a_fault()
    {
        using var host = new CpuKernels(new(Trainer.Models.Families.ConfigLoader.Load(Models.Golden.Folder("llama31"))), ComputeKind.Float32, new PanelPlan());
        Assert.Throws<InvalidOperationException>(() => new OwnKernels([new("Silu", _ => () => { })], host));
        Assert.Throws<InvalidOperationException>(() => new OwnKernels([new(nameof(ILayerKernels.Gate), _ => () => { })], host));
    }

    public void Dispose() => Directory.Delete(_cache, recursive: true);

    // Another way to the same values: the gates are gathered, and each operation is one of the device's.
    private static KernelOverride Gate(float factor, Action asked) => new(nameof(ILayerKernels.Gate), device => new OwnKernels.Gate(
        (shape, gate, up, activated, rows) =>
        {
            asked();
            device.Copy(gate, shape.Stride, activated, shape.Width, shape.Width, rows);
            device.Silu(activated, rows * shape.Width, activated);
            device.MultiplyRows(activated, shape.Width, up, shape.Stride, activated, shape.Width, rows, shape.Width);
            if (factor != 1f) device.Scale(activated, rows * shape.Width, factor);
        }));

    private static GoldenRun Run(params KernelOverride[] own)
    {
        var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        run.Options = run.Options with { Device = ComputeDevice.Stand, MaxSteps = 3, Loading = options => options with
        {
            Kernels = FakeKernels.OverLibtorch(3), Overrides = own,
        } };
        return run;
    }

    // The one file that a proof leaves in the user's cache.
    private static string ProofFile(Action prove)
    {
        var folder = Path.Combine(UserCache.Folder, "devices");
        HashSet<string> before = Directory.Exists(folder) ? [.. Directory.GetFiles(folder)] : [];
        prove();
        return Directory.GetFiles(folder).Except(before).FirstOrDefault() ?? before.MaxBy(File.GetLastWriteTimeUtc)!;
    }
}
