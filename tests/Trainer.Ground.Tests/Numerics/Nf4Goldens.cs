using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Trainer.Ground.Tests.Numerics;

/// <summary>The NF4 fixture, read without the product's own reader.</summary>
internal sealed class Nf4Goldens
{
    private readonly byte[] _file = File.ReadAllBytes(Path.Combine(Root(), "tests", "fixtures", "nf4", "nf4.safetensors"));
    private readonly JsonElement _header;
    private readonly int _data;

    public Nf4Goldens()
    {
        var length = (int)BinaryPrimitives.ReadUInt64LittleEndian(_file);
        _header = JsonDocument.Parse(_file.AsMemory(8, length)).RootElement;
        _data = 8 + length;
    }

    public static TheoryData<string> Cases => new("a", "b", "c", "d", "e", "f", "h", "i", "z");

    public T[] Read<T>(string name) where T : unmanaged
    {
        var range = _header.GetProperty(name).GetProperty("data_offsets");
        var (begin, end) = (range[0].GetInt32(), range[1].GetInt32());
        return MemoryMarshal.Cast<byte, T>(_file.AsSpan(_data + begin, end - begin)).ToArray();
    }

    public bool Has(string name) => _header.TryGetProperty(name, out _);

    internal static string Root()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Trainer.sln")))
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("no Trainer.sln above the tests");
        return folder;
    }
}
