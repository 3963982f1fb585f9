using System.Runtime.InteropServices;
using Trainer.Numerics.Machine;

namespace Trainer.Ground.Tests.Numerics;

public sealed unsafe class SystemMemoryTests
{
    [Fact]
    public void The_counts_hold_one_another_and_follow_what_is_taken()
    {
        Assert.InRange(SystemMemory.Available!.Value, 1, SystemMemory.Physical!.Value);
        var (anonymous, resident) = (SystemMemory.Anonymous, SystemMemory.Resident);
        Assert.InRange(anonymous, 1, resident);
        const int Taken = 256 << 20;
        var block = (byte*)NativeMemory.Alloc(Taken);
        try
        {
            new Span<byte>(block, Taken).Fill(1);
            // Other tests run beside this one and give some back.
            Assert.InRange(SystemMemory.Anonymous - anonymous, Taken / 2, Taken * 2L);
            Assert.InRange(SystemMemory.Resident - resident, Taken / 2, Taken * 2L);
        }
        finally
        {
            NativeMemory.Free(block);
        }
        Assert.True(SystemMemory.Peak >= resident + Taken / 2);
    }
}
