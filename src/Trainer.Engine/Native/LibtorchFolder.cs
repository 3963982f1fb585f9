using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace Trainer.Engine.Native;

/// <summary>Where libtorch is loaded from: beside the program, or the folder that <c>--libtorch</c> or <c>TRAINER_LIBTORCH</c> names, whose
/// libtorch may know other devices.</summary>
/// <remarks>
/// The loader takes a library that is loaded already for one of that name, wherever it lies: so the folder's are loaded first, by their full paths, and
/// TorchSharp's own finds them. That holds only where no libtorch lies beside the program, since .NET looks there first: see <c>ProgramLinks</c>.
/// </remarks>
public static unsafe partial class LibtorchFolder
{
    /// <summary>The environment variable.</summary>
    public const string Variable = "TRAINER_LIBTORCH";

    /// <summary>The option, which goes before the variable.</summary>
    public const string Option = "--libtorch";

    /// <summary>The only version that fits TorchSharp's library: its C++ names change with each.</summary>
    public const string Version = "2.10.0";

    // In the order of their dependence; the second is there with processors alone too.
    private static readonly string[] Needed = ["libc10.so", "libtorch_cpu.so", "libtorch.so"];
    private static readonly string[] WithCuda = ["libc10.so", "libc10_cuda.so", "libtorch_cpu.so", "libtorch_cuda.so", "libtorch.so"];

    /// <summary>What the command itself names; set before anything of libtorch is asked for.</summary>
    public static string? Named { get; set; }

    /// <summary>Who names the folder, as the user would find it.</summary>
    public static string Origin => Named is null ? Variable : Option;

    /// <summary>How to do without it, the end of a sentence.</summary>
    public static string WayOut => Named is null ? "unset it" : "leave it out";

    /// <summary>The folder that was asked for, or null.</summary>
    public static string? Asked
    {
        get
        {
            if ((Named ?? Environment.GetEnvironmentVariable(Variable)) is not { Length: > 0 } given) return null;
            // A pip install and libtorch's archive hold them one level below.
            var below = Path.Combine(Path.GetFullPath(given), "lib");
            return File.Exists(Path.Combine(below, Needed[1])) ? below : Path.GetFullPath(given);
        }
    }

    /// <summary>Where libtorch lies that this process uses.</summary>
    public static string Current => Asked is { } asked && !IsBesideProgram ? asked : AppContext.BaseDirectory;

    /// <summary>Whether a libtorch lies beside the program, which .NET would load whatever else is there.</summary>
    public static bool IsBesideProgram => File.Exists(Path.Combine(AppContext.BaseDirectory, Needed[1]));

    /// <summary>Whether a file beside the program is part of libtorch, and so has its like in such a folder.</summary>
    /// <param name="name">The file's name.</param>
    public static bool IsPart(string name) => Part().IsMatch(name);

    /// <summary>Refuses a folder that is none, or of another version, before anything of it is loaded.</summary>
    /// <param name="folder">See <see cref="Asked"/>.</param>
    /// <exception cref="DeviceException">Says what is wrong and what would be right.</exception>
    public static void Require(string folder)
    {
        ArgumentNullException.ThrowIfNull(folder);
        if (!OperatingSystem.IsLinux()) throw Refused(folder, "another libtorch can be named on Linux alone");
        if (!Directory.Exists(folder)) throw Refused(folder, "there is no such folder");
        if (Array.Find(Needed, name => !File.Exists(Path.Combine(folder, name))) is { } missing) throw Refused(folder, $"it holds no {missing}");
        if (Said(folder) is { } said && said != Version) throw Refused(folder, $"it holds libtorch {said}, and this program needs exactly {Version}");
    }

    /// <summary>Loads the folder's libraries for whoever asks for theirs later.</summary>
    /// <param name="folder">See <see cref="Asked"/>.</param>
    /// <exception cref="DeviceException">The loader's reason, or another version than the folder says.</exception>
    public static void Load(string folder)
    {
        foreach (var name in WithCuda)
        {
            var path = Path.Combine(folder, name);
            if (!File.Exists(path)) continue;
            try
            {
                var library = NativeLibrary.Load(path);
                if (name == Needed[1]) RequireVersion(folder, library);
            }
            catch (Exception fault) when (fault is DllNotFoundException or BadImageFormatException)
            {
                throw Refused(folder, $"{name} cannot be loaded ({Reason(fault)})");
            }
        }
    }

    // The runtime tells every way it tried, a line each; the last is the loader's word about the file itself.
    private static string Reason(Exception fault)
        => fault.Message.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)[^1];

    /// <summary>A version in words, from the number that the library itself gives.</summary>
    /// <param name="number">A byte each, the highest first.</param>
    public static string VersionOf(ulong number) => $"{number >> 56}.{(number >> 48) & 255}.{(number >> 40) & 255}";

    private static void RequireVersion(string folder, IntPtr library)
    {
        if (!NativeLibrary.TryGetExport(library, "aoti_torch_abi_version", out var version))
            throw Refused(folder, $"its libtorch is older than {Version}, which this program needs exactly");
        var found = VersionOf(((delegate* unmanaged[Cdecl]<ulong>)version)());
        if (found != Version) throw Refused(folder, $"it holds libtorch {found}, and this program needs exactly {Version}");
    }

    // What lies beside the libraries in a pip install or in libtorch's archive.
    private static string? Said(string folder)
    {
        foreach (var name in (string[])["version.py", "build-version"])
        {
            var path = Path.Combine(folder, "..", name);
            try
            {
                if (File.Exists(path) && new FileInfo(path).Length < 1 << 16 && Number().Match(File.ReadAllText(path)) is { Success: true } match)
                    return match.Value;
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
            {
                // The library itself says which it is, once it is loaded.
            }
        }
        return null;
    }

    private static DeviceException Refused(string folder, string why) =>
        new($"{Origin} '{folder}': {why}; name the folder with the libraries of libtorch {Version} for Linux (torch/lib of a pip install of "
        + $"torch {Version}), or {WayOut}");

    [GeneratedRegex(@"\d+\.\d+\.\d+")]
    private static partial Regex Number();

    [GeneratedRegex(@"^lib(torch|c10|gomp-|caffe2|shm\.)")]
    private static partial Regex Part();
}
