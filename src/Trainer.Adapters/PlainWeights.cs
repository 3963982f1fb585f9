using Trainer.Engine;
using Trainer.Models;

namespace Trainer.Adapters;

/// <summary>The weights of a model as its folder holds them, before they were quantized on loading. They are mapped, and take no memory of their own.</summary>
internal sealed class PlainWeights : IDisposable
{
    private readonly CausalModel? _plain;
    private readonly Dictionary<string, LinearModule> _linears;

    public PlainWeights(CausalModel model)
    {
        if (IsQuantizedHere(model)) _plain = CausalModel.Load(model.Folder, new ModelLoadOptions());
        _linears = (_plain ?? model).Linears.Append((_plain ?? model).Head).ToDictionary(linear => linear.Name, StringComparer.Ordinal);
    }

    /// <summary>Whether a model's weights were quantized when it was loaded, and its folder knows them better.</summary>
    public static bool IsQuantizedHere(CausalModel model) => model.Options.Quantize != QuantizeKind.None && model.Config.StoredQuantization is null;

    /// <summary>The weight of a linear of the model, row-major [out, in].</summary>
    public float[] Of(LinearModule linear) => _linears[linear.Name].WeightValues();

    public void Dispose() => _plain?.Dispose();
}
