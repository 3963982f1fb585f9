using System.Linq.Expressions;
using System.Reflection;

namespace Trainer.Training.Options;

/// <summary>A property of <see cref="TrainingOptions"/>, or of a record in it: read, and set in a copy.</summary>
public sealed class OptionProperty
{
    private static readonly TrainingOptions Prototype = new() { Model = "", ModelDirectory = "", Data = new(), OutputDirectory = "" };

    private readonly PropertyInfo[] _path;

    private OptionProperty(PropertyInfo[] path) => _path = path;

    /// <summary>Type of the value, without its nullability.</summary>
    public Type Type => Nullable.GetUnderlyingType(_path[^1].PropertyType) ?? _path[^1].PropertyType;

    /// <summary>The value where nothing sets it: the default of the option.</summary>
    public object? Initial => Get(Prototype);

    /// <param name="property">Path from the options, such as <c>o => o.Lora.Rank</c>.</param>
    public static OptionProperty Of(LambdaExpression property)
    {
        var path = new List<PropertyInfo>();
        for (var at = property.Body; at is MemberExpression { Member: PropertyInfo member } access; at = access.Expression) path.Insert(0, member);
        return path.Count > 0 ? new OptionProperty([.. path]) : throw new ArgumentException($"'{property}' names no property", nameof(property));
    }

    /// <summary>The value in these options.</summary>
    public object? Get(TrainingOptions options) => _path.Aggregate((object?)options, (owner, property) => property.GetValue(owner));

    /// <summary>A copy of the options with this value.</summary>
    public TrainingOptions With(TrainingOptions options, object? value) => (TrainingOptions)With(options, 0, value);

    /// <summary>Such as <c>Lora.Rank</c>.</summary>
    public override string ToString() => string.Join('.', _path.Select(property => property.Name));

    private object With(object owner, int depth, object? value)
    {
        // What a `with` expression of a record calls.
        var copy = owner.GetType().GetMethod("<Clone>$")!.Invoke(owner, null)!;
        _path[depth].SetValue(copy, depth + 1 == _path.Length ? value : With(_path[depth].GetValue(owner)!, depth + 1, value));
        return copy;
    }
}
