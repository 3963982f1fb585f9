using System.Reflection;
using Parquet.Data;

namespace Trainer.Data.Reading;

/// <summary>Single values of a column that is typed at run time.</summary>
internal static class ParquetValues
{
    private static readonly MethodInfo Typed = typeof(ParquetValues).GetMethod(nameof(Of), BindingFlags.NonPublic | BindingFlags.Static)!;
    private static readonly System.Collections.Concurrent.ConcurrentDictionary<Type, Func<RawColumnData, int, object>> Getters = new();

    /// <summary>The value with a number.</summary>
    public static object At(RawColumnData column, int index) =>
        Getters.GetOrAdd(column.GetType().GetGenericArguments()[0],
        type => Typed.MakeGenericMethod(type).CreateDelegate<Func<RawColumnData, int, object>>())(column, index);

    private static object Of<T>(RawColumnData column, int index) where T : struct => ((RawColumnData<T>)column).Values[index];
}
