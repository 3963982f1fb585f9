using System.Runtime.ExceptionServices;

namespace Trainer.Models;

/// <summary>Carries an exception out of a backward pass: thrown through native frames it would abort the process.</summary>
internal sealed class BackwardFault
{
    private ExceptionDispatchInfo? _fault;

    /// <summary>Keeps the first exception.</summary>
    public void Keep(Exception fault) => _fault ??= ExceptionDispatchInfo.Capture(fault);

    /// <summary>Throws what was kept, once.</summary>
    public void Rethrow()
    {
        var fault = _fault;
        _fault = null;
        fault?.Throw();
    }
}
