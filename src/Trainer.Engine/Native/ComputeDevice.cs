using System.Runtime.InteropServices;

namespace Trainer.Engine.Native;

/// <summary>Whether what the user wants to compute on is there and can be used; asked before any file is read.</summary>
public static unsafe class ComputeDevice
{
    private const string Instead = "this version computes on the processor: leave --device out, or pass --device cpu";

    /// <summary>Refuses a device that is not there or that the engine cannot use, with the exact reason.</summary>
    /// <param name="device">auto, cpu, cuda, cuda:N or mps.</param>
    /// <exception cref="DeviceException">Says which part is missing: the flavour, the driver, the card, or the engine for it.</exception>
    public static void Require(string device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (device is "auto" or "cpu") return;
        if (device == "mps")
        {
            throw new DeviceException(OperatingSystem.IsMacOS()
                ? $"--device mps: training on Apple's graphics processor is not written yet; {Instead}"
                : $"--device mps: Apple's graphics processor is asked for, and this is {RuntimeInformation.OSDescription}; {Instead}");
        }
        var index = device.IndexOf(':', StringComparison.Ordinal) is > 0 and var colon ? int.Parse(device[(colon + 1)..], System.Globalization.CultureInfo.InvariantCulture) : 0;
        throw new DeviceException($"--device {device}: {Missing(index)}; {Instead}");
    }

    /// <summary>Why no graphics processor is used, in one clause; for <c>doctor</c>.</summary>
    public static string WhyNone() => Missing(0);

    private static string Missing(int index)
    {
        var library = OperatingSystem.IsWindows() ? "torch_cuda.dll" : "libtorch_cuda.so";
        if (!File.Exists(Path.Combine(LibtorchFolder.Current, library))) return LibtorchFolder.Current == AppContext.BaseDirectory
            ? $"this build holds libtorch for processors alone (no {library} beside the program); one for CUDA can be named by {LibtorchFolder.Variable}"
            : $"the libtorch of {LibtorchFolder.Variable} is for processors alone (no {library} in '{LibtorchFolder.Current}')";
        var name = OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1";
        if (!NativeLibrary.TryLoad(name, out var driver)) return $"the driver of NVIDIA cards is not installed ({name} cannot be loaded)";
        try
        {
            var start = (delegate* unmanaged[Cdecl]<uint, int>)NativeLibrary.GetExport(driver, "cuInit");
            if (start(0) is var code and not 0) return $"the driver of NVIDIA cards does not start (cuInit gives {code})";
            var count = 0;
            _ = ((delegate* unmanaged[Cdecl]<int*, int>)NativeLibrary.GetExport(driver, "cuDeviceGetCount"))(&count);
            if (count == 0) return "the driver sees no NVIDIA card";
            return index >= count ? $"there is no card {index}: the driver sees {count}, counted from 0" : "a card is here, but training on one is not written yet";
        }
        catch (EntryPointNotFoundException)
        {
            return $"{name} is no driver of NVIDIA cards";
        }
    }
}
