using static TorchSharp.torch;

namespace Trainer.Engine.Reference;

/// <summary>
/// Values that a layer gives to later ones beside the stream: keys and values, small inputs. Where layers are computed again one by one for their backward
/// passes, a
/// value is a leaf of each layer that takes it; its gradient gathers there until the layer that gave it is computed again.
/// </summary>
internal sealed class SharedValues : IDisposable
{
    private readonly Dictionary<string, Tensor> _given = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Tensor> _again = new(StringComparer.Ordinal);
    private bool _isReplay;

    public void Give(string name, Tensor value)
    {
        if (_isReplay) _again[name] = value;
        else _given[name] = value.alias().DetachFromDisposeScope();
    }

    public Tensor Take(string name) => _given[name];

    public void Replay()
    {
        _isReplay = true;
        foreach (var name in _given.Keys.ToList())
        {
            using var former = _given[name];
            _given[name] = former.detach().requires_grad_(true).DetachFromDisposeScope();
        }
    }

    public void Backward(Tensor output, Tensor gradient, Tensor? part = null)
    {
        List<Tensor> outputs = [], gradients = [];
        if (output.requires_grad) (outputs, gradients) = ([output], [gradient]);
        foreach (var (name, value) in _again)
        {
            if (!value.requires_grad || _given[name].grad is not { } gathered) continue;
            outputs.Add(value);
            gradients.Add(gathered);
        }
        if (part is not null)
        {
            outputs.Add(part);
            gradients.Add(ones_like(part));
        }
        if (outputs.Count > 0) autograd.backward(outputs, gradients);
        _again.Clear();
    }

    public void Dispose()
    {
        foreach (var value in _given.Values) value.Dispose();
        _given.Clear();
    }
}
