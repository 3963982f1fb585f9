namespace Trainer.Engine.Fast;

/// <summary>A frozen matrix by its sizes.</summary>
/// <param name="Rows">Output features.</param>
/// <param name="Columns">Input features.</param>
/// <param name="Form">How it is held, see <see cref="IFrozenWeight.Form"/>.</param>
internal readonly record struct MatrixShape(long Rows, long Columns, string Form)
{
    public static MatrixShape Of(IFrozenWeight weight) => new(weight.Rows, weight.Columns, weight.Form);
}
