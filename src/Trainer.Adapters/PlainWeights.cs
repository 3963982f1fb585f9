using Trainer.Engine;
using Trainer.Models;

namespace Trainer.Adapters;

/// <summary>
/// The weights of a model as its folder holds them, before they were quantized on loading. The folder is opened when the first is asked for; weights are
/// mapped, and take no memory of their own.
/// </summary>
/// <param name="model">The loaded model.</param>
internal sealed class PlainWeights(CausalModel model) : IDisposable
{
    private CausalModel? _plain;
    private Dictionary<string, LinearModule>? _linears;

    /// <summary>Whether a model's weights were quantized when it was loaded, and its folder knows them better.</summary>
    public static bool IsQuantizedHere(CausalModel model) => model.Options.Quantize != QuantizeKind.None && model.Config.StoredQuantization is null;

    /// <summary>The weight of a linear of the model, row-major [out, in].</summary>
    public float[] Of(LinearModule linear)
    {
        if (!IsQuantizedHere(model)) return linear.WeightValues();
        _plain ??= CausalModel.Load(model.Folder, new ModelLoadOptions());
        _linears ??= _plain.Linears.Append(_plain.Head).ToDictionary(one => one.Name, StringComparer.Ordinal);
        return _linears[linear.Name].WeightValues();
    }

    public void Dispose() => _plain?.Dispose();
}
