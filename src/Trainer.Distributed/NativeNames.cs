using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace Trainer.Distributed;

/// <summary>Which loaded library stands behind each logical name of this project's imports; .NET takes one resolver for an assembly.</summary>
internal static class NativeNames
{
    private static readonly ConcurrentDictionary<string, nint> Libraries = new(StringComparer.Ordinal);

    static NativeNames() => NativeLibrary.SetDllImportResolver(typeof(NativeNames).Assembly, static (asked, _, _) => Libraries.GetValueOrDefault(asked));

    /// <summary>Binds a name, before the first call by it.</summary>
    public static void Bind(string name, nint library) => Libraries[name] = library;
}
