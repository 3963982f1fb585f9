using System.Runtime.InteropServices;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Ground.Tests.Checkpoints;

[Trait("ring", "unit")]
public sealed class SafetensorsFileTests
{
    private const string Two =
        """{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[],"data_offsets":[8,9]}}""";

    [Fact]
    public void A_whole_file_gives_its_tensors_and_their_bytes()
    {
        using var temp = new TempFolder();
        using var file = SafetensorsFile.Open(temp.Write("m.safetensors", Fixture.Safetensors(Two, 9)));
        Assert.Equal("pt", file.Metadata["format"]);
        Assert.Equal(["a", "b"], file.Entries.Select(entry => entry.Name));
        Assert.Equal([2L], file.Tensors["a"].Shape);
        Assert.Equal(1, file.Tensors["b"].ElementCount);
        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 7], file.Bytes(file.Entry("a")).ToArray());
        Assert.Equal([5, 6], file.Bytes(file.Entry("a"), 5, 2).ToArray());
        Assert.Equal([8], file.Bytes(file.Entry("b")).ToArray());
    }

    [Fact]
    public unsafe void The_map_outlives_the_file_while_it_is_held()
    {
        using var temp = new TempFolder();
        var file = SafetensorsFile.Open(temp.Write("m.safetensors", Fixture.Safetensors(Two, 9)));
        var pointer = file.Pointer(file.Entry("a"));
        var hold = file.Hold();
        file.Dispose();
        Assert.Equal(3, pointer[3]);
        hold.Dispose();
        Assert.Throws<ObjectDisposedException>(() => { file.Pointer(file.Tensors["a"]); });
    }

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 8, "'a'", "names it twice")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "'b'",
        "overlaps that of 'a'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}""", 16, "'b'",
        "4 bytes before its data belong to no tensor")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 12, "cannot read", "4 bytes at its end belong to no tensor")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 7, "'a'", "its data ends at byte 8 of 7")]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", 8, "'a'", "need 12 bytes, its data_offsets give it 8")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", 8, "'a'", "its shape holds something other than whole numbers")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}""", 8, "'a'", "its shape holds something other than whole numbers")]
    [InlineData("""{"a":{"dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,8]}}""", 8, "'a'", "no size that a file can have")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296,4294967296],"data_offsets":[0,0]}}""", 0, "'a'",
        "no size that a file can have")]
    [InlineData("""{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}""", 2, "'a'", "no size that a file can have")]
    [InlineData("""{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}""", 8, "'a'", "'F31' is not one of the format")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", 8, "'a'", "not a beginning and an end")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}}""", 8, "'a'", "not a beginning and an end")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2]}}""", 8, "'a'", "has no data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 8, "'a'", "given twice")]
    [InlineData("""{"a":[1]}""", 0, "'a'", "not an object")]
    [InlineData("""{"__metadata__":{"n":1}}""", 0, "header of", "not a string")]
    [InlineData("""[1]""", 0, "header of", "does not begin")]
    [InlineData("""{"a":{"dtype":"F32",""", 0, "header of", "not the JSON object")]
    public void A_damaged_header_is_refused_by_name(string header, int dataBytes, string where, string why)
    {
        using var temp = new TempFolder();
        var path = temp.Write("m.safetensors", Fixture.Safetensors(header, dataBytes));
        var message = Assert.Throws<BadFileException>(() => SafetensorsFile.Open(path)).Message;
        Assert.Contains(where, message);
        Assert.Contains(why, message);
        Assert.Contains(path, message);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    public void A_file_shorter_than_the_header_length_is_refused(int bytes)
    {
        using var temp = new TempFolder();
        var path = temp.Write("m.safetensors", new byte[bytes]);
        Assert.Contains($"has {bytes} bytes", Assert.Throws<BadFileException>(() => SafetensorsFile.Open(path)).Message);
    }

    [Theory]
    [InlineData(500L)]
    [InlineData(200_000_000L)]
    [InlineData(long.MaxValue)]
    [InlineData(-1L)]
    public void A_header_length_beyond_the_file_is_refused(long claimed)
    {
        using var temp = new TempFolder();
        var path = temp.Write("m.safetensors", Fixture.Safetensors(Two, 9, claimed));
        Assert.Contains("the file has", Assert.Throws<BadFileException>(() => SafetensorsFile.Open(path)).Message);
    }

    [Fact]
    public void A_file_cut_off_anywhere_is_refused()
    {
        using var temp = new TempFolder();
        var whole = Fixture.Safetensors(Two, 9);
        for (var length = 0; length < whole.Length; length++)
        {
            var path = temp.Write("m.safetensors", whole[..length]);
            Assert.Throws<BadFileException>(() => SafetensorsFile.Open(path).Dispose());
        }
    }

    [Fact]
    public void Flipped_bytes_of_the_header_never_do_worse_than_a_named_fault()
    {
        using var temp = new TempFolder();
        var whole = Fixture.Safetensors(Two, 9);
        var refused = 0;
        for (var at = 0; at < whole.Length - 9; at++)
        {
            byte[] bent = [.. whole];
            bent[at] ^= (byte)(1 << (at % 8));
            try
            {
                using var file = SafetensorsFile.Open(temp.Write("bent.safetensors", bent));
                Assert.All(file.Entries, entry => Assert.Equal(entry.ByteCount, file.Bytes(entry).Length));
            }
            catch (BadFileException fault)
            {
                Assert.Contains("bent.safetensors", fault.Message);
                refused++;
            }
        }
        Assert.True(refused > 80);
    }

    [Fact]
    public void A_name_that_is_not_UTF8_is_refused()
    {
        using var temp = new TempFolder();
        var bytes = Fixture.Safetensors("""{"?":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", 1);
        bytes[10] = 0xFF;
        Assert.Throws<BadFileException>(() => SafetensorsFile.Open(temp.Write("m.safetensors", bytes)));
    }

    [Fact]
    public void A_missing_file_and_a_folder_are_named()
    {
        using var temp = new TempFolder();
        Assert.Contains("there is no such file", Assert.Throws<BadFileException>(() => SafetensorsFile.Open(temp["none"])).Message);
        Assert.Contains("it is a folder", Assert.Throws<BadFileException>(() => SafetensorsFile.Open(temp.Path)).Message);
    }

    [Fact]
    public void What_is_written_is_read_back_whatever_the_order_of_writing()
    {
        using var temp = new TempFolder();
        var tensors = Enum.GetValues<SafetensorsDtype>().Select(dtype => new TensorDeclaration("t." + dtype.Name(), dtype, [2, 4])).ToList();
        var path = temp["w.safetensors"];
        using (var writer = SafetensorsWriter.Create(path, tensors, null))
        {
            foreach (var tensor in tensors)
            {
                byte[] data = [.. Enumerable.Repeat((byte)tensor.Dtype, (int)tensor.ByteCount)];
                writer.Write(tensor.Name, data.AsSpan(0, 1));
                writer.Write(tensor.Name, data.AsSpan(1));
            }
            writer.Complete();
        }
        using var file = SafetensorsFile.Open(path);
        Assert.Equal(tensors.Count, file.Entries.Count);
        Assert.All(tensors, tensor => Assert.All(file.Bytes(file.Entry(tensor.Name)).ToArray(), b => Assert.Equal((byte)tensor.Dtype, b)));
        Assert.Equal(SafetensorsWriter.FileLength(tensors, null), new FileInfo(path).Length);
    }

    [Fact]
    public void A_tensor_left_short_or_overfilled_is_our_fault_and_said_so()
    {
        using var temp = new TempFolder();
        using var writer = SafetensorsWriter.Create(temp["w"], [new("a", SafetensorsDtype.F32, [2])], null);
        writer.Write("a", MemoryMarshal.AsBytes<float>([1f]));
        Assert.Throws<InvalidOperationException>(writer.Complete);
        Assert.Throws<InvalidOperationException>(() => writer.Write("a", MemoryMarshal.AsBytes<float>([1f, 2f])));
        Assert.Throws<InvalidOperationException>(() => writer.Write("b", [1]));
    }

    [Fact]
    public void A_file_in_a_folder_that_does_not_exist_cannot_be_written()
    {
        using var temp = new TempFolder();
        var message = Assert.Throws<CannotWriteException>(() => SafetensorsWriter.Create(temp["no", "w"], [], null)).Message;
        Assert.Contains("the folder does not exist", message);
    }

    [Fact]
    public void Our_bytes_are_those_of_the_official_library() => AssertRewritten(Fixture.Path("checkpoints", "adapter_phi3", "adapter_model.safetensors"));

    [SkippableFact]
    public void Our_bytes_are_those_of_the_official_library_for_every_reference_file()
    {
        var golden = Fixture.Shared("golden");
        Skip.If(golden is null, "the reference data beside the repository is absent");
        var files = Directory.GetFiles(golden, "*.safetensors", SearchOption.AllDirectories);
        Assert.NotEmpty(files);
        Assert.All(files, AssertRewritten);
    }

    private static void AssertRewritten(string golden)
    {
        using var temp = new TempFolder();
        using var source = SafetensorsFile.Open(golden);
        using (var writer = SafetensorsWriter.Create(temp["copy"],
            source.Entries.Reverse().Select(e => new TensorDeclaration(e.Name, e.Dtype, e.Shape)), source.Metadata.Count > 0 ? source.Metadata : null))
        {
            foreach (var entry in source.Entries) writer.Write(entry.Name, source.Bytes(entry));
            writer.Complete();
        }
        Assert.True(File.ReadAllBytes(golden).AsSpan().SequenceEqual(File.ReadAllBytes(temp["copy"])), golden);
    }
}
