using System.Buffers.Binary;
using Trainer.Adapters;
using Trainer.Adapters.Merge;

namespace Trainer.Engine.Tests.Adapters;

/// <summary>Trained tensors of 2 GiB and more, as sparse files: nothing counts bytes or elements in 32 bits.</summary>
[Trait("ring", "model")]
public sealed class LargeTensorTests : IDisposable
{
    private const long Rows = 152_064, Columns = 8_192;

    private readonly string _folder = Directory.CreateTempSubdirectory("large-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void The_last_elements_of_a_trained_head_of_4_GiB_are_read_where_they_lie()
    {
        File.WriteAllText(Path.Combine(_folder, PeftFolder.ConfigFile), """{"peft_type":"LORA","target_modules":["q_proj"],"modules_to_save":["lm_head"]}""");
        const string Name = "base_model.model.lm_head.weight";
        var header = System.Text.Encoding.UTF8.GetBytes(
            $$$"""{"{{{Name}}}":{"dtype":"F32","shape":[{{{Rows}}},{{{Columns}}}],"data_offsets":[0,{{{Rows * Columns * 4}}}]}}""".PadRight(184));
        using (var file = File.OpenHandle(Path.Combine(_folder, PeftFolder.WeightsFile), FileMode.Create, FileAccess.ReadWrite))
        {
            RandomAccess.SetLength(file, 8 + header.Length + Rows * Columns * 4);
            var length = new byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
            RandomAccess.Write(file, length, 0);
            RandomAccess.Write(file, header, 8);
            var last = new byte[8];
            BinaryPrimitives.WriteSingleLittleEndian(last, 1.5f);
            BinaryPrimitives.WriteSingleLittleEndian(last.AsSpan(4), -2.5f);
            RandomAccess.Write(file, last, 8 + header.Length + Rows * Columns * 4 - 8);
        }
        using var source = new MergeSource(_folder);
        var row = new float[Columns];
        source.ReadWhole("lm_head.weight", (Rows - 1) * Columns, row);
        Assert.Equal([0f, 1.5f, -2.5f], row[^3..]);
        Assert.Equal([Rows, Columns], source.WholeEntry("lm_head.weight")!.Shape);
    }
}
