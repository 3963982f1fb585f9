using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using Trainer.Checkpoints.Gguf;

namespace Trainer.Checkpoints.Safetensors;

/// <summary>
/// The header of a safetensors file, checked in full before a byte of data is believed: 8 bytes little-endian length, that many bytes
/// of JSON, then the data, in which the tensors lie behind each other without hole or overlap up to the end of the file.
/// </summary>
internal sealed class SafetensorsHeader
{
    /// <summary>The official library's own limit on the JSON; a longer one is damage, not a header.</summary>
    internal const long MaxJsonBytes = 100_000_000;

    private readonly string _path;
    private readonly long _fileLength;
    private readonly List<SafetensorsEntry> _entries = [];
    private readonly Dictionary<string, string> _metadata = new(StringComparer.Ordinal);

    private SafetensorsHeader(string path, long fileLength)
    {
        _path = path;
        _fileLength = fileLength;
    }

    internal IReadOnlyList<SafetensorsEntry> Entries => _entries;

    internal IReadOnlyDictionary<string, string> Metadata => _metadata;

    /// <summary>Reads and checks the header of an open file of <paramref name="fileLength"/> bytes.</summary>
    internal static SafetensorsHeader Read(string path, Microsoft.Win32.SafeHandles.SafeFileHandle file, long fileLength)
    {
        var header = new SafetensorsHeader(path, fileLength);
        Span<byte> prefix = stackalloc byte[8];
        if (fileLength < 8 || RandomAccess.Read(file, prefix, 0) != 8)
            throw header.Bad($"the file has {fileLength} bytes, not even the 8 of a header length", "it was cut off; copy or download it again");
        var length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > (ulong)(fileLength - 8))
        {
            var why = length > MaxJsonBytes ? "this is no safetensors file, or it is damaged" : "it was cut off; copy or download it again";
            throw header.Bad($"the header is {length} bytes long by its own account, the file has {fileLength}", why);
        }
        if (length > MaxJsonBytes)
        {
            throw header.Bad($"the header is {length} bytes long, more than the format's limit of {MaxJsonBytes}",
                "this is no safetensors file, or it is damaged");
        }
        var json = new byte[(int)length];
        for (var done = 0; done < json.Length;)
        {
            var got = RandomAccess.Read(file, json.AsSpan(done), 8 + done);
            done += got > 0 ? got : throw header.Bad("the header ends early", "it was cut off; copy or download it again");
        }
        try
        {
            header.Parse(json);
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException or FormatException or DecoderFallbackException)
        {
            throw new BadFileException($"header of '{path}' is not the JSON object of the safetensors format: {FirstLine(fault.Message)}; "
                + "the file is damaged or of another format", fault);
        }
        header.CheckLayout(8 + (long)length);
        return header;
    }

    private static string FirstLine(string message) => message.Split('\n', 2)[0].TrimEnd('.', '\r');

    private BadFileException Bad(string what, string toDo) => new($"cannot read '{_path}': {what}; {toDo}");

    private BadFileException BadTensor(string name, string what) =>
        new($"tensor '{name}' of '{_path}': {what}; the file is damaged, copy or download it again");

    private void Parse(byte[] json)
    {
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 8 });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            throw new FormatException("it does not begin with '{'");
        var seen = new HashSet<string>(StringComparer.Ordinal);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            var name = reader.GetString()!;
            if (!seen.Add(name)) throw BadTensor(name, "the header names it twice");
            reader.Read();
            if (name == "__metadata__") ParseMetadata(ref reader);
            else ParseTensor(name, ref reader);
        }
        if (reader.Read()) throw new FormatException("something follows the closing '}'");
    }

    private void ParseMetadata(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject) throw new FormatException("__metadata__ is not an object");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            var key = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
                throw new FormatException($"__metadata__ '{key}' is not a string");
            if (!_metadata.TryAdd(key, reader.GetString()!))
                throw new FormatException($"__metadata__ names '{key}' twice");
        }
    }

    private void ParseTensor(string name, ref Utf8JsonReader reader)
    {
        string? dtypeName = null;
        List<long>? shape = null, offsets = null;
        if (reader.TokenType != JsonTokenType.StartObject) throw BadTensor(name, "its header entry is not an object");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            var key = reader.GetString()!;
            reader.Read();
            switch (key)
            {
                case "dtype" when dtypeName is null && reader.TokenType == JsonTokenType.String: dtypeName = reader.GetString(); break;
                case "shape" when shape is null: shape = ParseNumbers(name, key, ref reader); break;
                case "data_offsets" when offsets is null: offsets = ParseNumbers(name, key, ref reader); break;
                case "dtype" or "shape" or "data_offsets": throw BadTensor(name, $"its {key} is given twice or is of the wrong kind");
                default: reader.Skip(); break;
            }
        }
        if (dtypeName is null || shape is null || offsets is null)
            throw BadTensor(name, $"its header entry has no {(dtypeName is null ? "dtype" : shape is null ? "shape" : "data_offsets")}");
        if (!SafetensorsDtypes.TryParse(dtypeName, out var dtype))
            throw BadTensor(name, $"its dtype '{dtypeName}' is not one of the format");
        if (offsets.Count != 2 || offsets[0] > offsets[1])
            throw BadTensor(name, $"its data_offsets [{string.Join(", ", offsets)}] are not a beginning and an end");
        long[] sides = [.. shape];
        var described = $"dtype {dtypeName} and shape [{string.Join(", ", sides)}]";
        var bytes = dtype.ByteCount(sides) ?? throw BadTensor(name, $"{described} are no size that a file can have");
        if (bytes != offsets[1] - offsets[0])
            throw BadTensor(name, $"{described} need {bytes} bytes, its data_offsets give it {offsets[1] - offsets[0]}");
        _entries.Add(new SafetensorsEntry(name, dtype, sides, offsets[0], offsets[1]));
    }

    private List<long> ParseNumbers(string name, string key, ref Utf8JsonReader reader)
    {
        var numbers = new List<long>();
        if (reader.TokenType != JsonTokenType.StartArray) throw BadTensor(name, $"its {key} is not a list");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var number) || number < 0)
                throw BadTensor(name, $"its {key} holds something other than whole numbers from 0 to {long.MaxValue}");
            numbers.Add(number);
        }
        return numbers;
    }

    // Offsets come relative to the data; from here on they count from the start of the file.
    private void CheckLayout(long dataStart)
    {
        _entries.Sort(static (a, b) => (a.Begin, a.End).CompareTo((b.Begin, b.End)));
        long dataLength = _fileLength - dataStart, expected = 0;
        for (var i = 0; i < _entries.Count; i++)
        {
            var entry = _entries[i];
            if (entry.End > dataLength)
                throw BadTensor(entry.Name, $"its data ends at byte {entry.End} of {dataLength}: the file is cut off or its header wrong");
            if (entry.Begin < expected)
                throw BadTensor(entry.Name, $"its data overlaps that of '{_entries[i - 1].Name}'");
            if (entry.Begin > expected)
                throw BadTensor(entry.Name, $"{entry.Begin - expected} bytes before its data belong to no tensor");
            expected = entry.End;
            _entries[i] = entry with { Begin = entry.Begin + dataStart, End = entry.End + dataStart };
        }
        if (expected != dataLength)
            throw Bad($"{dataLength - expected} bytes at its end belong to no tensor", "the file is damaged, copy or download it again");
    }
}
