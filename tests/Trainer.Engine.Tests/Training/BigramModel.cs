using Trainer.Data;
using Trainer.Models;
using Trainer.Training.Steps;

namespace Trainer.Engine.Tests.Training;

/// <summary>
/// The smallest thing the loop can train: logits of token a for its successor are row a of one table, plus a bias. No libtorch,
/// a softmax by hand, gradients by hand; a "dropout" that scales each micro-step by a function of its key, so that a wrong key shows.
/// </summary>
internal sealed class BigramModel : IAdaptedModel
{
    private readonly int _vocabulary;
    private readonly float[] _values;
    private readonly float[] _gradients;

    public BigramModel(int vocabulary)
    {
        _vocabulary = vocabulary;
        var table = new ParameterEntry("table.lora_B.weight", [vocabulary, vocabulary], 0);
        var bias = new ParameterEntry("bias.lora_B.weight", [vocabulary], (table.Count + 15) / 16 * 16);
        Tensors = [table, bias];
        _values = new float[bias.Offset + bias.Count];
        _gradients = new float[_values.Length];
    }

    public Span<float> Values => _values;

    public Span<float> Gradients => _gradients;

    public IReadOnlyList<ParameterEntry> Tensors { get; }

    public IParameterStore Parameters => new HostParameters(Tensors, () => _values, () => _gradients);

    public long TotalParameters => _values.Length;

    public int VocabularySize => _vocabulary;

    /// <summary>Called before each forward pass; tests plant faults and stops here.</summary>
    public Action<StepKey>? BeforeStep { get; set; }

    public double ForwardBackward(MicroBatch batch, double lossScale, StepKey key)
    {
        BeforeStep?.Invoke(key);
        var mask = 1 + 0.1 * Math.Sin(key.Step * 12.9898 + key.MicroStep * 78.233 + key.Seed);
        double sum = 0;
        for (var segment = 0; segment < batch.SegmentWeights.Length; segment++)
        {
            for (var t = batch.SegmentStarts[segment]; t < batch.SegmentStarts[segment + 1]; t++)
            {
                if (batch.Targets[t] < 0) continue;
                var probabilities = Probabilities(batch.TokenIds[t]);
                sum -= batch.SegmentWeights[segment] * Math.Log(probabilities[batch.Targets[t]]);
                probabilities[batch.Targets[t]] -= 1;
                for (var v = 0; v < _vocabulary; v++)
                {
                    var gradient = (float)(lossScale * mask * batch.SegmentWeights[segment] * probabilities[v]);
                    _gradients[batch.TokenIds[t] * _vocabulary + v] += gradient;
                    _gradients[(int)Tensors[1].Offset + v] += gradient;
                }
            }
        }
        return sum;
    }

    public double ForwardBackward(MicroBatch batch, Func<float[], float[]> weigh, StepKey key, double balance = 0, float[]? logitMeans = null)
    {
        BeforeStep?.Invoke(key);
        var weights = weigh(TokenLosses(batch, logitMeans));
        for (var t = 0; t < weights.Length; t++)
        {
            if (batch.Targets[t] < 0) continue;
            var probabilities = Probabilities(batch.TokenIds[t]);
            probabilities[batch.Targets[t]] -= 1;
            for (var v = 0; v < _vocabulary; v++)
            {
                _gradients[batch.TokenIds[t] * _vocabulary + v] += (float)(weights[t] * probabilities[v]);
                _gradients[(int)Tensors[1].Offset + v] += (float)(weights[t] * probabilities[v]);
            }
        }
        return 0;
    }

    // The table without its training: every successor is equally likely.
    public float[] BaseTokenLosses(MicroBatch batch) => [.. batch.Targets.Select(target => target < 0 ? 0f : (float)Math.Log(_vocabulary))];

    public float[] TokenLosses(MicroBatch batch, float[]? logitMeans = null)
    {
        var losses = new float[batch.TokenIds.Length];
        for (var t = 0; logitMeans is not null && t < losses.Length; t++)
            if (batch.Targets[t] >= 0) logitMeans[t] = (float)Row(batch.TokenIds[t]).Average();
        for (var t = 0; t < losses.Length; t++)
            if (batch.Targets[t] >= 0) losses[t] = (float)-Math.Log(Probabilities(batch.TokenIds[t])[batch.Targets[t]]);
        return losses;
    }

    public float[] Logits(MicroBatch batch) => [.. batch.TokenIds.SelectMany(id => Row(id).Select(value => (float)value))];

    public int Threads => 1;

    public ComputeKind Compute => ComputeKind.Float32;

    public ulong BaseChecksum() => 7;

    public void WriteAdapter(string directory)
    {
        var bytes = new byte[_values.Length * 4];
        Buffer.BlockCopy(_values, 0, bytes, 0, bytes.Length);
        File.WriteAllBytes(Path.Combine(directory, "adapter_model.safetensors"), bytes);
        File.WriteAllText(Path.Combine(directory, "adapter_config.json"), "{}");
    }

    public float[] LogitsFromDisk(string directory, MicroBatch batch)
    {
        var fresh = new BigramModel(_vocabulary);
        Buffer.BlockCopy(File.ReadAllBytes(Path.Combine(directory, "adapter_model.safetensors")), 0, fresh._values, 0, _values.Length * 4);
        return fresh.Logits(batch);
    }

    public IEnumerable<string> ReaderVerdicts(string directory) => ["everything loads it"];

    public string? FindNonFinite(MicroBatch batch) => null;

    public void Dispose()
    {
    }

    private double[] Row(int id)
    {
        var row = new double[_vocabulary];
        for (var v = 0; v < _vocabulary; v++) row[v] = _values[id * _vocabulary + v] + _values[(int)Tensors[1].Offset + v];
        return row;
    }

    private double[] Probabilities(int id)
    {
        var row = Row(id);
        var top = row.Max();
        var sum = row.Sum(value => Math.Exp(value - top));
        return [.. row.Select(value => Math.Exp(value - top) / sum)];
    }
}
