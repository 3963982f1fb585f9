using System.Text.Json;

namespace Trainer.Tokenizers.Files;

/// <summary>A part of a JSON file, read with faults that name the file and the place.</summary>
internal readonly struct JsonSection(JsonElement element, string file, string path)
{
    public JsonElement Element => element;

    public string File => file;

    public string Path => path;

    public bool IsNull => element.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined;

    /// <summary>A fault at this place.</summary>
    public TokenizerException Fault(string why, string what = "repair the file or take it anew from its model")
        => new($"tokenizer file '{file}'{(path.Length == 0 ? "" : $" ({path})")}: {why}; {what}");

    /// <summary>A member, or an undefined section where it is absent.</summary>
    public JsonSection Member(string name)
    {
        if (element.ValueKind != JsonValueKind.Object)
            throw Fault("an object was expected");
        return new JsonSection(element.TryGetProperty(name, out var value) ? value : default, file, path.Length == 0 ? name : $"{path}.{name}");
    }

    /// <summary>The name of a component.</summary>
    public string Type() => Member("type").Text();

    public string Text()
    {
        if (element.ValueKind != JsonValueKind.String)
            throw Fault("a text was expected");
        try
        {
            return element.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw Fault("the text is not well-formed Unicode");
        }
    }

    public string? TextOrNull() => IsNull ? null : Text();

    public bool Flag(bool absent) => element.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.Null or JsonValueKind.Undefined => absent,
        _ => throw Fault("true or false was expected"),
    };

    public int Number(int most = int.MaxValue)
    {
        if (element.ValueKind != JsonValueKind.Number || !element.TryGetInt32(out var value) || value < 0 || value > most)
            throw Fault($"a whole number from 0 to {most} was expected");
        return value;
    }

    public IEnumerable<JsonSection> Items()
    {
        if (element.ValueKind != JsonValueKind.Array)
            throw Fault("a list was expected");
        return Each(this);

        static IEnumerable<JsonSection> Each(JsonSection section)
        {
            var index = 0;
            foreach (var item in section.Element.EnumerateArray())
                yield return new JsonSection(item, section.File, $"{section.Path}[{index++}]");
        }
    }
}
