using System.Runtime.InteropServices;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Gguf;
using Trainer.Engine.Quantize;
using Trainer.Models.Config;
using Trainer.Models.Drawing;
using Trainer.Models.Parts;

namespace Trainer.Adapters.Export;

/// <summary>Updates of experts as llama.cpp has them: beside the tensor of all experts one A [experts, r, in] and one B [experts, out, r].</summary>
/// <remarks>An adapter of all experts together has one A of gates and ups; there it stands twice. Experts without an adapter of their own have zeros.</remarks>
internal sealed class GgufExpertAdapters
{
    private readonly SafetensorsFile _file;
    private readonly List<(GgufExpertTensor Place, ModuleBlueprint Module, List<ExpertUpdate> Updates)> _pairs = [];
    private readonly HashSet<string> _names;

    /// <summary>Those of an adapter.</summary>
    /// <param name="config">The base.</param>
    /// <param name="blueprint">What the adapter trains.</param>
    /// <param name="file">Its weights.</param>
    /// <param name="nameOf">A tensor's name in the file, by the name that the blueprint gives it.</param>
    public GgufExpertAdapters(ModelConfig config, AdapterBlueprint blueprint, SafetensorsFile file, Func<string, string> nameOf)
    {
        _file = file;
        var trained = blueprint.Modules.Where(module => module.Experts.Count > 0).ToList();
        ExpertUpdate Named(ExpertUpdate one) => one with { Update = one.Update with { A = nameOf(one.Update.A), B = nameOf(one.Update.B) } };
        foreach (var one in trained)
            foreach (var place in GgufExpertTensor.Of(config, one.Module))
                if (one.Experts.Where(update => Meets(update.Part, place.Part)).Select(Named).ToList() is { Count: > 0 } updates)
                    _pairs.Add((place, one.Module, updates));
        _names = [.. trained.SelectMany(module => module.Experts).Select(Named).SelectMany(one => new[] { one.Update.A, one.Update.B })];
    }

    /// <summary>Whether a tensor of the adapter's file is of experts.</summary>
    public bool Owns(string name) => _names.Contains(name);

    /// <summary>Whether there are any.</summary>
    public bool Any => _pairs.Count > 0;

    /// <summary>What is written, pair by pair.</summary>
    public IEnumerable<GgufDeclaration> Declarations => _pairs.SelectMany(pair =>
    {
        var (rank, place) = ((long)pair.Updates[0].Update.Rank, pair.Place);
        return new[] { new GgufDeclaration(place.Name + ".lora_a", GgufTensorType.F32, [place.Shape[2], rank, place.Shape[0]]),
            new GgufDeclaration(place.Name + ".lora_b", GgufTensorType.F32, [rank, place.Shape[1], place.Shape[0]]) };
    });

    /// <summary>Why an adapter cannot be written so, or null.</summary>
    /// <param name="usesRslora">The scale's divisor is the root of the rank.</param>
    public string? Refusal(bool usesRslora)
    {
        if (!Any) return null;
        // The file's one alpha stands for every pair, and that of experts together was reckoned by all their ranks.
        if (usesRslora) return "it scales updates of experts by the root of their rank (rsLoRA)";
        if (_pairs.FirstOrDefault(pair => pair.Updates.Select(one => one.Update.Rank).Distinct().Count() > 1).Module is { } mixed)
            return $"the experts of '{mixed.Path}' have updates of several ranks, and one tensor holds them all";
        return _pairs.FirstOrDefault(pair => pair.Place.Part == ExpertPart.GateUp && pair.Updates.Any(one => one.Part != ExpertPart.GateUp)).Module is { } apart
            ? $"gates and ups of '{apart.Path}' are adapted apart, and llama.cpp has them in one tensor" : null;
    }

    /// <summary>Writes the values.</summary>
    public void Write(GgufWriter writer)
    {
        foreach (var (place, module, updates) in _pairs)
        {
            long experts = place.Shape[0], rows = place.Shape[1], columns = place.Shape[2], rank = updates[0].Update.Rank;
            float[] a = new float[experts * rank * columns], b = new float[experts * rows * rank];
            foreach (var one in updates) Fill(place, module.Experts!, one, a, b);
            writer.Write(place.Name + ".lora_a", MemoryMarshal.AsBytes<float>(a));
            writer.Write(place.Name + ".lora_b", MemoryMarshal.AsBytes<float>(b));
        }
    }

    private void Fill(GgufExpertTensor place, ExpertFeedForward block, ExpertUpdate one, float[] a, float[] b)
    {
        var (lower, upper) = (Values(one.Update.A), Values(one.Update.B));
        long rows = place.Shape[1], columns = place.Shape[2], rank = one.Update.Rank, together = one.Update.Experts, wide = block.Width;
        var (begin, end) = one.Expert < 0 ? (0, place.Shape[0]) : (one.Expert, one.Expert + 1);
        for (var e = begin; e < end; e++)
        {
            // Of all experts A lies expert by expert, B rank by rank.
            var own = one.Expert < 0 ? e : 0;
            lower.AsSpan((int)(own * rank * columns), (int)(rank * columns)).CopyTo(a.AsSpan((int)(e * rank * columns)));
            for (long row = 0; row < rows; row++)
            {
                var from = one.Part != ExpertPart.GateUp || place.Part is not (ExpertPart.Gate or ExpertPart.Up) || !block.IsGated ? row
                    : block.IsClamped ? 2 * row + (place.Part == ExpertPart.Up ? 1 : 0) : place.Part == ExpertPart.Up ? wide + row : row;
                for (long j = 0; j < rank; j++) b[(e * rows + row) * rank + j] = upper[from * rank * together + j * together + own];
            }
        }
    }

    private static bool Meets(ExpertPart trained, ExpertPart place) => trained == ExpertPart.Down || place == ExpertPart.Down
        ? trained == place : trained == place || trained == ExpertPart.GateUp || place == ExpertPart.GateUp;

    private float[] Values(string name)
    {
        var entry = _file.Entry(name);
        var values = new float[entry.ElementCount];
        StoredValues.Read(_file, entry, 0, values);
        return values;
    }
}
