using System.Runtime.ExceptionServices;
using TorchSharp;

namespace Trainer.Engine.Reference;

/// <summary>
/// What custom backward passes leave behind: an exception, because thrown through native frames it would abort the process,
/// and the last result, because native code copies its handle only after the managed list is gone.
/// </summary>
internal sealed class BackwardFault
{
    private ExceptionDispatchInfo? _fault;
    private torch.Tensor? _result;

    /// <summary>Keeps the first exception.</summary>
    public void Keep(Exception fault) => _fault ??= ExceptionDispatchInfo.Capture(fault);

    /// <summary>Holds a result until the next one comes: by then it was copied. So a whole graph's gradients never pile up in the step's scope.</summary>
    public torch.Tensor Hold(torch.Tensor result)
    {
        _result?.Dispose();
        return _result = result.DetachFromDisposeScope();
    }

    /// <summary>After a backward pass: releases the last result and throws what was kept, once.</summary>
    public void Rethrow()
    {
        _result?.Dispose();
        _result = null;
        var fault = _fault;
        _fault = null;
        fault?.Throw();
    }
}
