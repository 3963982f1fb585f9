using System.Text.Json;
using System.Text.Json.Serialization;

namespace Trainer.Training;

/// <summary>One data file of a run: what it was read for, where it lay, and its contents' hash. A list of them is in the order of reading.</summary>
/// <param name="Role"><see cref="Train"/> or <see cref="HeldOut"/>; empty in the records of older versions.</param>
/// <param name="Path">As it was found.</param>
/// <param name="Sha256">Of its bytes, in hexadecimal.</param>
internal sealed record DataFile(string Role, string Path, string Sha256)
{
    public const string Train = "train";

    public const string HeldOut = "held_out";
}

/// <summary>Reads the list, and the mapping from path to hash that older versions wrote.</summary>
internal sealed class DataFilesConverter : JsonConverter<IReadOnlyList<DataFile>>
{
    public override IReadOnlyList<DataFile> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.StartObject)
            return [.. (JsonSerializer.Deserialize<Dictionary<string, string>>(ref reader, options) ?? []).Select(pair => new DataFile("", pair.Key, pair.Value))];
        return JsonSerializer.Deserialize<List<DataFile>>(ref reader, options) ?? [];
    }

    public override void Write(Utf8JsonWriter writer, IReadOnlyList<DataFile> value, JsonSerializerOptions options) => JsonSerializer.Serialize(writer, value.ToList(), options);
}
