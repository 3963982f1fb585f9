using Trainer.Engine.Quantize;
using Trainer.Models.Config;
using Trainer.Models.Drawing;
using Trainer.Models.Parts;

namespace Trainer.Adapters.Merge;

/// <summary>Adds updates of experts to their stored matrices, whichever of the two layouts folder and adapter have.</summary>
internal sealed class ExpertMerge
{
    private const string Prefix = "base_model.model.";
    private readonly BaseTensors _tensors;
    private readonly MergeSource _adapter;
    private readonly Dictionary<string, (TrainedModule Trained, int Expert, ExpertPart Part)> _places = new(StringComparer.Ordinal);
    private readonly HashSet<string> _modules;

    private ExpertMerge(ModelConfig config, BaseTensors tensors, MergeSource adapter, List<TrainedModule> trained)
    {
        (_tensors, _adapter) = (tensors, adapter);
        _modules = [.. trained.SelectMany(module => module.Experts)
            .Select(one => TensorNames.OfTextModel(one.Update.A[Prefix.Length..^".lora_A.weight".Length]))];
        foreach (var module in trained)
        {
            var blueprint = module.Module;
            var (gateUp, down) = ($"{blueprint.StoredPath}.{blueprint.Experts!.Names.AllGateUp}", $"{blueprint.StoredPath}.{blueprint.Experts.Names.AllDown}");
            Place(gateUp, module, -1, ExpertPart.GateUp);
            Place(down, module, -1, ExpertPart.Down);
            for (var e = 0; e < blueprint.Experts.Experts; e++)
            {
                foreach (var own in ExpertTensors.Own(blueprint, e)) Place(own.Name, module, e, own.Part);
            }
        }
        foreach (var stored in tensors.Names)
            if (config.ModuleTensor(stored) is { } name && _places.Remove(name, out var place)) _places[stored] = place;
    }

    /// <summary>What an adapter does to experts, or null where it leaves them alone.</summary>
    public static ExpertMerge? Of(ModelConfig config, BaseTensors tensors, MergeSource adapter, string baseFolder)
    {
        var decoder = DecoderBlueprint.Of(config);
        if (!decoder.Modules.Any(module => module.Kind == ModuleKind.Experts)) return null;
        var trained = PeftFolder.Draw(decoder, baseFolder, adapter.Folder).Blueprint.Modules.Where(module => module.Experts.Count > 0).ToList();
        return trained.Count == 0 ? null : new ExpertMerge(config, tensors, adapter, trained);
    }

    /// <summary>Whether a module of the adapter's file is of experts.</summary>
    public bool Owns(string module) => _modules.Contains(module);

    /// <summary>Whether a stored tensor gets another value.</summary>
    public bool Changes(string stored) => _places.TryGetValue(stored, out var place)
        && Updates(place.Trained, place.Expert < 0 ? 0 : place.Expert, place.Part).Any();

    /// <summary>Experts in a stored tensor.</summary>
    public int Slices(string stored) => _places[stored].Expert < 0 ? _places[stored].Trained.Module.Experts!.Experts : 1;

    /// <summary>Elements of one expert in it.</summary>
    public long SliceLength(string stored) => _tensors.Shapes[stored].Shape.Aggregate(1L, (product, side) => product * side) / Slices(stored);

    /// <summary>The base's values of the expert that was read last.</summary>
    public float[] Before { get; private set; } = [];

    /// <summary>One expert's values with the update.</summary>
    public void Read(string stored, int slice, float[] values)
    {
        _tensors.Read(stored, slice * (long)values.Length, values);
        Before = [.. values];
        var (trained, expert, part) = _places[stored];
        var block = trained.Module.Experts!;
        // Ups lie below the gates, where there are any.
        long hidden = trained.Module.ExpertColumns, wide = block.Width, above = block.IsGated ? wide : 0;
        foreach (var update in Updates(trained, expert < 0 ? slice : expert, part)) Add(update, expert < 0 ? slice : expert);

        void Add(ExpertUpdate one, int index)
        {
            var columns = part == ExpertPart.Down ? wide : hidden;
            // Rows of the stored matrix that the update's rows are: gates lie above ups.
            var (first, at, count) = (one.Part, part) switch
            {
                (ExpertPart.GateUp, ExpertPart.Up) => (above, 0L, wide),
                (ExpertPart.GateUp, ExpertPart.Gate) => (0L, 0L, wide),
                (ExpertPart.Up, ExpertPart.GateUp) => (0L, above, wide),
                _ => (0L, 0L, one.Update.Outputs),
            };
            var (a, b) = (Values(one.Update.A), Values(one.Update.B));
            long rank = one.Update.Rank, experts = one.Update.Experts, chosen = one.Expert < 0 ? index : 0;
            // Where gates and ups alternate they do so in the update too.
            var alternates = block.IsClamped && one.Part == ExpertPart.GateUp && part is ExpertPart.Gate or ExpertPart.Up;
            var rows = part == ExpertPart.GateUp ? block.InnerRows : part == ExpertPart.Down ? hidden : wide;
            for (long row = 0; row < count; row++)
            {
                for (long column = 0; column < columns; column++)
                {
                    double sum = 0;
                    for (long j = 0; j < rank; j++)
                        sum += (double)b[(alternates ? 2 * row + first / wide : first + row) * rank * experts + j * experts + chosen]
                            * a[(chosen * rank + j) * columns + column];
                    // Of an expert's own tensors none lies transposed.
                    var place = block.IsTransposed && expert < 0 ? column * rows + at + row : (at + row) * columns + column;
                    values[place] += (float)(one.Update.Scale * sum);
                }
            }
        }
    }

    private static IEnumerable<ExpertUpdate> Updates(TrainedModule trained, int expert, ExpertPart part)
        => trained.Experts.Where(one => (one.Expert < 0 || one.Expert == expert) && Meets(one.Part, part));

    private static bool Meets(ExpertPart one, ExpertPart other)
        => one == other || (one == ExpertPart.Down
            ? other == ExpertPart.Down : other != ExpertPart.Down && (one == ExpertPart.GateUp || other == ExpertPart.GateUp));

    private float[] Values(string name)
    {
        var path = TensorNames.OfTextModel(name[Prefix.Length..]);
        return _adapter.Needed(path[..path.IndexOf(".lora_", StringComparison.Ordinal)], path[(path.IndexOf(".lora_", StringComparison.Ordinal) + 1)..]).Values;
    }

    private void Place(string name, TrainedModule module, int expert, ExpertPart part) => _places[name] = (module, expert, part);
}
