using System.Globalization;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Trainer.Engine.Native;

/// <summary>Whether what the user wants to compute on is there and can be used; asked before any file is read.</summary>
public static unsafe class ComputeDevice
{
    /// <summary>The processor in the place of a device: everything goes the way it would on one. For tests and self-proofs, named in no help.</summary>
    public const string Stand = "libtorch";

    private const string Instead = "leave --device out, or pass --device cpu";

    /// <summary>Refuses a device that is not there or that libtorch cannot use, with the exact reason.</summary>
    /// <param name="device">auto, cpu, cuda, cuda:N or mps.</param>
    /// <exception cref="DeviceException">Says which part is missing: the flavour, the driver, the card.</exception>
    public static void Require(string device)
    {
        if (Why(device) is { } why) throw new DeviceException($"--device {device}: {why}; {Instead}");
    }

    /// <summary>Why a device cannot be used, in one clause; null where it can.</summary>
    /// <param name="device">auto, cpu, cuda, cuda:N or mps.</param>
    public static string? Why(string device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (device is "auto" or "cpu" or Stand) return null;
        if (device != "mps")
            return Missing(Index(device)) ?? (CanUseCuda() ? null
                : "the driver sees a card, but libtorch cannot use it (its driver may be older than libtorch's CUDA)");
        if (!OperatingSystem.IsMacOS()) return $"Apple's graphics processor is asked for, and this is {RuntimeInformation.OSDescription}";
        return torch.mps_is_available() ? null : "libtorch finds no graphics processor of Apple's that it can use";
    }

    /// <summary>What is computed on, in words with name and memory; null for the processor's own engine.</summary>
    /// <param name="device">As the user named it.</param>
    public static string? Description(string device)
    {
        ArgumentNullException.ThrowIfNull(device);
        return device switch
        {
            "auto" or "cpu" => null,
            Stand => "the processor, by libtorch's operations",
            "mps" => "Apple's graphics processor",
            _ => NameOf(Index(device)),
        };
    }

    /// <summary>Bytes of memory that a device has in all; null where there is no such device here, or nobody tells.</summary>
    /// <param name="device">As the user named it.</param>
    public static long? MemoryBytes(string device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (!device.StartsWith("cuda", StringComparison.Ordinal) || Missing(Index(device)) is not null) return null;
        return Facts(Index(device)).Bytes;
    }

    /// <summary>What a proof of a device holds for: its name, its driver's version and libtorch's; null for the processor's own engine.</summary>
    /// <param name="device">As the user named it.</param>
    public static string? Identity(string device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (Description(device) is not { } name) return null;
        if (!device.StartsWith("cuda", StringComparison.Ordinal)) return $"{name}, {RuntimeInformation.OSDescription}, libtorch {LibtorchFolder.Version}";
        int driver;
        _ = ((delegate* unmanaged[Cdecl]<int*, int>)NativeLibrary.GetExport(NativeLibrary.Load(Driver), "cuDriverGetVersion"))(&driver);
        return string.Create(CultureInfo.InvariantCulture, $"{Facts(Index(device)).Name}, driver {driver}, libtorch {LibtorchFolder.Version}");
    }

    /// <summary>Why no graphics processor is used, in one clause; for <c>doctor</c>.</summary>
    public static string WhyNone() => Missing(0) ?? "a card is here: --device cuda uses it";

    private static int Index(string device) => device.IndexOf(':', StringComparison.Ordinal) is > 0 and var colon
        ? int.Parse(device[(colon + 1)..], CultureInfo.InvariantCulture) : 0;

    private static bool CanUseCuda()
    {
        try
        {
            return torch.TryInitializeDeviceType(DeviceType.CUDA);
        }
        catch (NotSupportedException)
        {
            return false;
        }
    }

    private static string NameOf(int index)
    {
        var (name, bytes) = Facts(index);
        return string.Create(CultureInfo.InvariantCulture, $"card {index}, {name}, {bytes / (double)(1 << 30):0.0} GiB");
    }

    private static (string Name, long Bytes) Facts(int index)
    {
        var driver = NativeLibrary.Load(Driver);
        int card;
        var name = stackalloc byte[256];
        nuint bytes;
        _ = ((delegate* unmanaged[Cdecl]<int*, int, int>)NativeLibrary.GetExport(driver, "cuDeviceGet"))(&card, index);
        _ = ((delegate* unmanaged[Cdecl]<byte*, int, int, int>)NativeLibrary.GetExport(driver, "cuDeviceGetName"))(name, 256, card);
        _ = ((delegate* unmanaged[Cdecl]<nuint*, int, int>)NativeLibrary.GetExport(driver, "cuDeviceTotalMem_v2"))(&bytes, card);
        return (Marshal.PtrToStringUTF8((IntPtr)name)!, (long)bytes);
    }

    /// <summary>The library of NVIDIA's driver.</summary>
    internal static string Driver => OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1";

    private static string? Missing(int index)
    {
        var library = OperatingSystem.IsWindows() ? "torch_cuda.dll" : "libtorch_cuda.so";
        if (!File.Exists(Path.Combine(LibtorchFolder.Current, library))) return LibtorchFolder.Current == AppContext.BaseDirectory
            ? $"this build holds libtorch for processors alone (no {library} beside the program); one for CUDA can be named by {LibtorchFolder.Option}"
            : $"the libtorch of {LibtorchFolder.Origin} is for processors alone (no {library} in '{LibtorchFolder.Current}')";
        var name = Driver;
        if (!NativeLibrary.TryLoad(name, out var driver)) return $"the driver of NVIDIA cards is not installed ({name} cannot be loaded)";
        try
        {
            var start = (delegate* unmanaged[Cdecl]<uint, int>)NativeLibrary.GetExport(driver, "cuInit");
            if (start(0) is var code and not 0) return $"the driver of NVIDIA cards does not start (cuInit gives {code})";
            var count = 0;
            _ = ((delegate* unmanaged[Cdecl]<int*, int>)NativeLibrary.GetExport(driver, "cuDeviceGetCount"))(&count);
            if (count == 0) return "the driver sees no NVIDIA card";
            return index >= count ? $"there is no card {index}: the driver sees {count}, counted from 0" : null;
        }
        catch (EntryPointNotFoundException)
        {
            return $"{name} is no driver of NVIDIA cards";
        }
    }
}
