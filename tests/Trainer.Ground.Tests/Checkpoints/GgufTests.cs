using System.Buffers.Binary;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Gguf;

namespace Trainer.Ground.Tests.Checkpoints;

[Trait("ring", "unit")]
public sealed class GgufTests
{
    private static readonly KeyValuePair<string, GgufValue>[] Metadata =
    [
        new("general.architecture", GgufValue.Of("llama")), new("n", GgufValue.Of(7u)), new("alpha", GgufValue.Of(1.5f)), new("yes", GgufValue.Of(true)),
        new("tokens", GgufValue.Of(["a", "\u2581b", ""])), new("scores", GgufValue.Of([1f, -2f])), new("types", GgufValue.Of([1, -1])),
        new("big", new GgufValue(GgufValueType.UInt64, ulong.MaxValue)),
        new("nested", new GgufValue(GgufValueType.Array, new object[] { GgufValue.Of([1, 2]), GgufValue.Of(["x"]) }, GgufValueType.Array)),
    ];

    private static string Write(TempFolder temp)
    {
        var path = temp["m.gguf"];
        using var writer = GgufWriter.Create(path, Metadata, [new("a", GgufTensorType.F32, [3, 2]), new("q", GgufTensorType.Q8_0, [64])]);
        writer.Write("q", new byte[68]);
        writer.Write("a", Enumerable.Range(0, 24).Select(i => (byte)i).ToArray());
        writer.Complete();
        return path;
    }

    private static string Fault(TempFolder temp, byte[] bytes)
        => Assert.Throws<BadFileException>(() => GgufFile.Open(temp.Write("bad.gguf", bytes)).Dispose()).Message;

    [Fact]
    public void What_is_written_is_read_back()
    {
        using var temp = new TempFolder();
        using var file = GgufFile.Open(Write(temp));
        Assert.Equal(Metadata.Select(pair => pair.Key), file.Metadata.Select(pair => pair.Key));
        Assert.Equal("llama", file.Text("general.architecture"));
        Assert.Equal(["a", "\u2581b", ""], (string[])file.Find("tokens")!.Value);
        Assert.Equal([1, -1], (int[])file.Find("types")!.Value);
        Assert.Equal(ulong.MaxValue, file.Find("big")!.Value);
        Assert.Equal(["x"], (string[])((GgufValue)((object[])file.Find("nested")!.Value)[1]).Value);
        Assert.Equal([3L, 2L], file.ByName["a"].Dimensions);
        Assert.Equal(23, file.Read(file.ByName["a"])[23]);
        Assert.All(file.Tensors, tensor => Assert.Equal(0, tensor.Begin % 32));
    }

    [Fact]
    public void A_file_cut_off_anywhere_is_refused()
    {
        using var temp = new TempFolder();
        var whole = File.ReadAllBytes(Write(temp));
        // The last tensor ends before the padding at the file's end.
        for (var length = 0; length < whole.Length - 28; length++) Fault(temp, whole[..length]);
    }

    [Fact]
    public void Flipped_bytes_of_the_header_never_do_worse_than_a_named_fault()
    {
        using var temp = new TempFolder();
        var whole = File.ReadAllBytes(Write(temp));
        for (var at = 0; at < whole.Length; at++)
        {
            byte[] bent = [.. whole];
            bent[at] ^= (byte)(1 << (at % 8));
            try
            {
                GgufFile.Open(temp.Write("bent.gguf", bent)).Dispose();
            }
            catch (BadFileException fault)
            {
                Assert.Contains("bent.gguf", fault.Message);
            }
        }
    }

    [Theory]
    [InlineData(0, 0x46554748u, "does not begin with 'GGUF'")]
    [InlineData(4, 1u, "version is 1")]
    [InlineData(4, 0x03000000u, "version is")]
    [InlineData(8, 0xFFFFFFFFu, "tensors")]
    [InlineData(16, 0xFFFFFFFFu, "keys")]
    public void Wrong_numbers_at_the_start_are_named(int at, uint value, string why)
    {
        using var temp = new TempFolder();
        var bytes = File.ReadAllBytes(Write(temp));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), value);
        Assert.Contains(why, Fault(temp, bytes));
    }

    [Fact]
    public void Tensors_that_overlap_or_come_twice_are_named()
    {
        using var temp = new TempFolder();
        var path = temp["m.gguf"];
        using (var writer = GgufWriter.Create(path, [], [new("aa", GgufTensorType.F32, [8]), new("bb", GgufTensorType.F32, [8])]))
        {
            writer.Write("aa", new byte[32]);
            writer.Write("bb", new byte[32]);
            writer.Complete();
        }
        var bytes = File.ReadAllBytes(path);
        var second = 24 + 8 + 2 + 4 + 8 + 4 + 8;
        byte[] overlapping = [.. bytes];
        overlapping[second + 8 + 2 + 4 + 8 + 4] = 0;
        Assert.Contains("'bb' overlaps that of 'aa'", Fault(temp, overlapping));
        byte[] twice = [.. bytes];
        twice[second + 8] = twice[second + 9] = (byte)'a';
        Assert.Contains("comes twice", Fault(temp, twice));
    }
}
