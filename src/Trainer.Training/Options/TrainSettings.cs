using System.Reflection;

namespace Trainer.Training.Options;

/// <summary>Every setting of <c>train</c>, in the order help shows them: the rows of the seven sections, as they are declared.</summary>
public static class TrainSettings
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<Setting> All { get; } =
        [.. new[] { typeof(ModelSettings), typeof(DataSettings), typeof(AdapterSettings), typeof(PreferenceSettings),
        typeof(GrpoSettings), typeof(StepSettings), typeof(RunSettings) }.SelectMany(Rows)];

    /// <summary>Those that a recipe may hold.</summary>
    public static IReadOnlyList<Setting> Recipe { get; } = [.. All.Where(setting => setting.InRecipe)];

    /// <summary>Those that mean the same in commands that read a model: they draw answers by options of their own, of the same names.</summary>
    public static IReadOnlyList<Setting> OfReaders { get; } = [.. All.Except(GrpoSettings.All)];

    // Reflection may give fields in any order; their tokens count up as they are written.
    private static IEnumerable<Setting> Rows(Type section) => section.GetFields(BindingFlags.Public | BindingFlags.Static)
        .Where(field => field.FieldType == typeof(Setting)).OrderBy(field => field.MetadataToken).Select(field => (Setting)field.GetValue(null)!);
}
