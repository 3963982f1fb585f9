using System.Collections;
using System.Globalization;
using System.Text;
using Trainer.Data;

namespace Trainer.Training.Options;

/// <summary>Values as a user types them.</summary>
public static class OptionWords
{
    /// <summary>The words of an enumeration, kebab-case, in its order.</summary>
    public static string[] Of(Type enumeration) => [.. Enum.GetNames(enumeration).Select(Kebab)];

    /// <summary>The word of a value of an enumeration.</summary>
    public static string Of(Enum value) => Kebab(value.ToString());

    /// <summary>The value that a word of <see cref="Of(Type)"/> means.</summary>
    public static object Parse(Type enumeration, string word) => Enum.Parse(enumeration, Enum.GetNames(enumeration).First(name => Kebab(name) == word));

    internal static SettingKind KindOf(Type type)
    {
        if (type.IsEnum) return SettingKind.Choice;
        if (type == typeof(bool)) return SettingKind.Flag;
        if (type == typeof(int)) return SettingKind.Integer;
        if (type == typeof(double)) return SettingKind.Number;
        if (type == typeof(long)) return SettingKind.Bytes;
        if (type == typeof(TimeSpan)) return SettingKind.Duration;
        if (type == typeof(string)) return SettingKind.Text;
        if (type == typeof(IReadOnlyList<DataSource>)) return SettingKind.Sources;
        return type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyDictionary<,>) ? SettingKind.Pairs : SettingKind.List;
    }

    /// <summary>A default as it would be typed, or null where there is nothing to type.</summary>
    internal static string? Default(object? value) => value switch
    {
        null or "" => null,
        Enum word => Of(word),
        bool flag => flag ? "true" : "false",
        double number => Math.Abs(number) is > 0 and < 1e-3 ? number.ToString("0.################e-0", CultureInfo.InvariantCulture) : Quantities.Plain(number),
        int number => number.ToString(CultureInfo.InvariantCulture),
        string text => text,
        IEnumerable<string> words when words.Any() => string.Join(',', words),
        IEnumerable => null,
        _ => value.ToString(),
    };

    // A word begins at a capital behind a small letter: LoraOnly is lora-only, BFloat16 is bfloat16.
    private static string Kebab(string name)
    {
        var word = new StringBuilder();
        for (var i = 0; i < name.Length; i++)
        {
            if (i > 0 && char.IsAsciiLetterUpper(name[i]) && char.IsAsciiLetterLower(name[i - 1])) word.Append('-');
            word.Append(char.ToLowerInvariant(name[i]));
        }
        return word.ToString();
    }
}
