using System.Diagnostics;
using System.Runtime.InteropServices;
using Trainer.Adapters;
using Trainer.Engine.Fast;
using Trainer.Engine.Fast.Bench;
using Trainer.Engine.Fast.Libtorch;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Fast;

/// <summary>Streamed layers over the driver's queue of copies, with a library that stands in for the driver and copies late (tests/fixtures/cuda).</summary>
[Trait("ring", "model")]
public sealed unsafe class CudaCopiesTests
{
    [SkippableFact]
    public void Layers_sent_by_a_stream_of_their_own_give_the_bits_of_a_base_that_stays()
    {
        Skip.IfNot(OperatingSystem.IsLinux() && File.Exists("/usr/bin/cc"), "no C compiler is here (apt-get install gcc)");
        var folder = Directory.CreateTempSubdirectory("cuda-").FullName;
        try
        {
            var library = Path.Combine(folder, "libstandin.so");
            var source = Path.GetFullPath(Path.Combine(Golden.Root, "..", "..", "..", "tests", "fixtures", "cuda", "driver.c"));
            using var compiler = Process.Start("/usr/bin/cc", ["-shared", "-fPIC", "-O1", "-pthread", "-o", library, source]);
            Assert.True(compiler.WaitForExit(60_000) && compiler.ExitCode == 0, "the library that stands in could not be made");
            RandomModelFolder.Write(folder, new ModelShape("six", 64, 6, 4, 2, 16, 192, 300, false), 7);
            var options = new ModelLoadOptions { Engine = EngineKind.Libtorch };
            var expected = Gradients(folder, options, (shape, compute, panels) => new TorchKernels(shape, compute, panels, "cpu", keepsWeights: true));
            var streamed = Gradients(folder, options with { Stream = true, StreamReads = StreamReads.Direct },
                (shape, compute, panels) => new TorchKernels(shape, compute, panels, "cpu", keepsWeights: false, null, library));
            Assert.Equal(expected, streamed);
            var driver = NativeLibrary.Load(library);
            long Of(string name) => ((delegate* unmanaged[Cdecl]<long>)NativeLibrary.GetExport(driver, name))();
            Assert.True(Of("stand_in_queued") > 12, "layers did not go by the stream");
            Assert.Equal(0, Of("stand_in_pinned"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static float[] Gradients(string folder, ModelLoadOptions options, KernelFactory kernels)
    {
        using var model = CausalModel.Load(folder, options);
        AdapterInjector.Inject(model, new LoraSpec { Rank = 4 }, 1);
        FastRun.Randomize(model);
        using var engine = new FastEngine(model, kernels: kernels);
        for (var i = 0; i < 2; i++) engine.ForwardBackward(FastRun.Batch(300, i == 0), 0.25, null);
        var gradients = model.Parameters.GradientSpan.ToArray();
        Assert.Contains(gradients, value => value != 0);
        return gradients;
    }
}
