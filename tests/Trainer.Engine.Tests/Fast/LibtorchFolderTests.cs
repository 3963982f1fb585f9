using System.Runtime.InteropServices;
using TorchSharp;
using Trainer.Engine.Native;

namespace Trainer.Engine.Tests.Fast;

public sealed class LibtorchFolderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("libtorch-").FullName;

    [Fact]
    public void The_version_asked_for_is_that_of_the_packaged_library_by_its_own_word()
    {
        Assert.StartsWith(LibtorchFolder.Version + ".", torch.__version__, StringComparison.Ordinal);
        var library = NativeLibrary.Load(Path.Combine(AppContext.BaseDirectory, "libtorch_cpu.so"));
        unsafe
        {
            var version = (delegate* unmanaged[Cdecl]<ulong>)NativeLibrary.GetExport(library, "aoti_torch_abi_version");
            Assert.Equal(LibtorchFolder.Version, LibtorchFolder.VersionOf(version()));
        }
    }

    [Fact]
    public void Every_part_of_libtorch_beside_the_program_is_known_as_one_and_the_bridge_is_not()
    {
        var parts = Directory.GetFiles(AppContext.BaseDirectory, "lib*.so*").Select(path => Path.GetFileName(path)).Where(LibtorchFolder.IsPart).ToList();
        foreach (var name in (string[])["libc10.so", "libtorch.so", "libtorch_cpu.so"]) Assert.Contains(name, parts);
        Assert.Contains(parts, name => name.StartsWith("libgomp-", StringComparison.Ordinal));
        Assert.DoesNotContain("libLibTorchSharp.so", parts);
    }

    [Theory]
    [InlineData("version.py", "__version__ = '2.11.0+cu130'\n", "2.11.0")]
    [InlineData("build-version", "2.9.1+cpu\n", "2.9.1")]
    [InlineData("version.py", "__version__ = '2.10.0+cu128'\n", null)]
    public void A_folder_of_another_version_is_refused_by_its_name_and_ours(string file, string text, string? refused)
    {
        var libraries = Directory.CreateDirectory(Path.Combine(_folder, "lib")).FullName;
        foreach (var name in (string[])["libc10.so", "libtorch_cpu.so", "libtorch.so"]) File.WriteAllText(Path.Combine(libraries, name), "");
        File.WriteAllText(Path.Combine(_folder, file), text);
        if (refused is null)
        {
            LibtorchFolder.Require(libraries);
            // What says the right version may still be no library.
            var fault = Assert.Throws<DeviceException>(() => LibtorchFolder.Load(libraries));
            Assert.Contains($"libc10.so cannot be loaded ({Path.Combine(libraries, "libc10.so")}: ", fault.Message, StringComparison.Ordinal);
        }
        else
        {
            Assert.Contains($"it holds libtorch {refused}, and this program needs exactly {LibtorchFolder.Version}",
                Assert.Throws<DeviceException>(() => LibtorchFolder.Require(libraries)).Message, StringComparison.Ordinal);
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
