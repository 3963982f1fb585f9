using System.Text.Json;
using System.Text.Json.Serialization;

namespace Trainer.Training.State;

/// <summary>One data file of a run: what it was read for, where it lay, and its contents' hash. A list of them is in the order of reading.</summary>
/// <param name="Role"><see cref="Train"/> or <see cref="HeldOut"/>; empty in the records of older versions.</param>
/// <param name="Path">As it was found.</param>
/// <param name="Sha256">Of its bytes, in hexadecimal.</param>
internal sealed record RunDataFile(string Role, string Path, string Sha256)
{
    public const string Train = "train";

    public const string HeldOut = "held_out";
}

/// <summary>Reads the list, and the mapping from path to hash that older versions wrote.</summary>
internal sealed class RunDataFilesConverter : JsonConverter<IReadOnlyList<RunDataFile>>
{
    public override IReadOnlyList<RunDataFile> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.StartObject)
            return [.. (JsonSerializer.Deserialize<Dictionary<string, string>>(ref reader, options) ?? [])
                .Select(pair => new RunDataFile("", pair.Key, pair.Value))];
        return JsonSerializer.Deserialize<List<RunDataFile>>(ref reader, options) ?? [];
    }

    public override void Write(Utf8JsonWriter writer, IReadOnlyList<RunDataFile> value, JsonSerializerOptions options)
        => JsonSerializer.Serialize(writer, value.ToList(), options);
}
