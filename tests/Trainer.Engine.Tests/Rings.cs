namespace Trainer.Engine.Tests;

/// <summary>A matrix of cases over two rings of tests: those that tell the kinds apart run always, all others in the slow ring.</summary>
internal static class Rings
{
    /// <summary>The cases of the default ring.</summary>
    /// <param name="cases">All cases.</param>
    /// <param name="isTelling">Whether a case, its arguments in their order, is one of them.</param>
    public static IEnumerable<object[]> Always(IEnumerable<object[]> cases, Func<object[], bool> isTelling) => cases.Where(isTelling);

    /// <summary>The cases of the slow ring.</summary>
    public static IEnumerable<object[]> Slow(IEnumerable<object[]> cases, Func<object[], bool> isTelling) => cases.Where(one => !isTelling(one));
}
