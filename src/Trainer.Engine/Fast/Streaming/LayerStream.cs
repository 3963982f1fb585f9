using System.Runtime.ExceptionServices;
using Trainer.Engine.Fast.Operations;
using Trainer.Models;

namespace Trainer.Engine.Fast.Streaming;

/// <summary>
/// Keeps the layer at work, the next one and as many others as the window has room for in memory; a thread of its own reads ahead.
/// </summary>
/// <remarks>
/// A layer is computed only once it was read in full, so a late read costs time and never a wrong value; what befalls the reader befalls the step that waits
/// for it.
/// A layer's room goes to another only once what a device has queued with its weights is done.
/// </remarks>
internal sealed class LayerStream : IDisposable
{
    private readonly ILayerSource _source;
    private readonly StreamWindow _window;
    private readonly bool[] _isReady;
    private readonly IDeviceEvent?[] _uses;
    private readonly Thread _reader;
    private readonly CancellationTokenSource _stop = new();
    private readonly object _gate = new();
    private int _current = -1;
    private int _ahead = -1;
    private ExceptionDispatchInfo? _fault;
    private long _loads;

    /// <summary>Owns the source.</summary>
    public LayerStream(ILayerSource source, int layers, StreamWindow window)
    {
        (_source, _window) = (source, window);
        (_isReady, _uses) = (new bool[layers], new IDeviceEvent?[layers]);
        _reader = new Thread(Read) { IsBackground = true, Name = "weight reader" };
        _reader.Start();
    }

    /// <summary>Layers read so far.</summary>
    public long Loads
    {
        get
        {
            lock (_gate) return _loads;
        }
    }

    /// <summary>A layer is about to be computed, and another will follow (-1: none). Returns once the first is there.</summary>
    /// <param name="layer">The layer that is computed next.</param>
    /// <param name="next">The one after it, or -1.</param>
    /// <param name="queued">What was queued so far, with weights of the layer visited last; null where it is done.</param>
    /// <exception cref="ModelException">Its file could not be read, or changed.</exception>
    public void Visit(int layer, int next, IDeviceEvent? queued = null)
    {
        lock (_gate)
        {
            if (_current >= 0) _uses[_current] = queued;
            _current = layer;
            _ahead = Ahead(layer, next);
            for (var l = 0; l < _isReady.Length; l++)
                if (_isReady[l] && !IsWanted(l)) Release(l);
            Monitor.PulseAll(_gate);
            while (!_isReady[layer])
            {
                _fault?.Throw();
                Monitor.Wait(_gate);
            }
            _source.Place(layer);
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _stop.Cancel();
            Monitor.PulseAll(_gate);
        }
        _reader.Join();
        for (var l = 0; l < _isReady.Length; l++) Release(l);
        _source.Dispose();
        _stop.Dispose();
    }

    private bool IsKept(int layer) => _window.Keeps(layer, _isReady.Length);

    private bool IsWanted(int layer) => layer == _current || layer == _ahead || IsKept(layer);

    // The next layer of the same direction that is not there for good.
    private int Ahead(int layer, int next)
    {
        if (next < 0) return -1;
        var ahead = next;
        while (ahead >= 0 && ahead < _isReady.Length && IsKept(ahead) && _isReady[ahead]) ahead += next - layer;
        return ahead < _isReady.Length ? ahead : -1;
    }

    private void Release(int layer)
    {
        _uses[layer]?.Wait();
        _uses[layer] = null;
        _source.Release(layer);
        _isReady[layer] = false;
    }

    private void Read()
    {
        try
        {
            while (Next() is { } layer)
            {
                _source.Load(layer, _stop.Token);
                lock (_gate)
                {
                    _isReady[layer] = true;
                    _loads++;
                    // A pass that was broken off may have gone elsewhere meanwhile.
                    if (!IsWanted(layer)) Release(layer);
                    Monitor.PulseAll(_gate);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Asked to stop in the middle of a layer.
        }
#pragma warning disable CA1031 // whatever befalls this thread is thrown where its layer is waited for
        catch (Exception fault)
#pragma warning restore CA1031
        {
            lock (_gate)
            {
                _fault = ExceptionDispatchInfo.Capture(fault);
                Monitor.PulseAll(_gate);
            }
        }
    }

    private int? Next()
    {
        lock (_gate)
        {
            while (!_stop.IsCancellationRequested)
            {
                if (_current >= 0 && !_isReady[_current]) return _current;
                if (_ahead >= 0 && !_isReady[_ahead]) return _ahead;
                Monitor.Wait(_gate);
            }
            return null;
        }
    }
}
