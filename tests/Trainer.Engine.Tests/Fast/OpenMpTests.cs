using System.Runtime.InteropServices;
using Trainer.Engine.Native;

namespace Trainer.Engine.Tests.Fast;

public sealed partial class OpenMpTests
{
    [Fact]
    public void Libtorchs_threads_are_told_to_sleep_while_they_wait() => Assert.Equal("PASSIVE", Get("OMP_WAIT_POLICY"), ignoreCase: true);

    [Fact]
    public void What_the_user_set_stays()
    {
        _ = Set("KMP_BLOCKTIME", "7", 1);
        OpenMp.Prepare();
        Assert.Equal("7", Get("KMP_BLOCKTIME"));
    }

    private static string? Get(string name) => Marshal.PtrToStringUTF8(GetEnv(name));

    // The C environment is what the threads' runtime reads; .NET keeps a copy of its own.
    [LibraryImport("libc", EntryPoint = "getenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial IntPtr GetEnv(string name);

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Set(string name, string value, int overwrite);
}
