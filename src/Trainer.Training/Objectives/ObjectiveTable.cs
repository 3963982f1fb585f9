using Trainer.Training.Steps;

namespace Trainer.Training.Objectives;

/// <summary>Every objective, once.</summary>
public static class ObjectiveTable
{
    /// <summary>The words that <c>--objective</c> takes.</summary>
    public static IReadOnlyList<string> Names => ["sft", "dpo", "kto", "orpo", "simpo", "grpo"];

    /// <summary>The loss types of an objective, its default first; none where it has one form only.</summary>
    /// <param name="objective">One of <see cref="Names"/>.</param>
    public static IReadOnlyList<string> LossTypes(string objective) => objective switch
    {
        "sft" => ["cross-entropy", "dft"],
        "dpo" => [.. PairLoss.Names, "sft"],
        "kto" => ["kto", "apo-zero-unpaired"],
        "orpo" => ["trl", "llamafactory"],
        "grpo" => GrpoLoss.Names,
        _ => [],
    };

    /// <summary>What the rows of an objective are read for.</summary>
    public static Data.RowPurpose Purpose(string objective) => objective switch
    {
        "sft" => Data.RowPurpose.Supervised,
        "kto" => Data.RowPurpose.Feedback,
        "grpo" => Data.RowPurpose.Prompts,
        _ => Data.RowPurpose.Pairs,
    };

    /// <summary>Whether an objective weighs the policy against a reference.</summary>
    public static bool HasReference(string objective) => objective is "dpo" or "kto" or "grpo";

    /// <summary>Whether a run asks its reference.</summary>
    /// <param name="options">The run.</param>
    public static bool AsksReference(TrainingOptions options) =>
        HasReference(options.Objective) && options.Preference.Reference != "none" && (options.Objective != "grpo" || options.Preference.Beta > 0);

    /// <summary>Whether each row is measured a second time, with another row's answer: KTO's estimate of the distance from the reference.</summary>
    /// <param name="options">The run.</param>
    public static bool MeasuresMismatched(TrainingOptions options) => options.Objective == "kto" && options.Preference.LossType is not ["apo-zero-unpaired"];

    /// <summary>Rows that a batch must have, where there are so many, for the objective to mean something.</summary>
    /// <param name="options">The run.</param>
    public static int LeastRows(TrainingOptions options) => MeasuresMismatched(options) ? 2 : 1;

    /// <summary>Forward passes of a step beside the one that is trained, each of as many tokens: of the reference, and of mismatched answers.</summary>
    /// <param name="options">The run.</param>
    public static int ExtraPasses(TrainingOptions options)
    {
        var hasReference = AsksReference(options);
        var rows = hasReference && !options.Preference.PrecomputeReference ? 1 : 0;
        return MeasuresMismatched(options) ? rows + 1 + (hasReference ? 1 : 0) : rows;
    }

    /// <summary>The objective of a run.</summary>
    /// <param name="options">The run.</param>
    /// <param name="model">Loaded, its adapter as the run begins with it, before any checkpoint is restored.</param>
    internal static IObjective Make(TrainingOptions options, IAdaptedModel model)
    {
        if (options.Objective == "grpo") return new GrpoObjective(options);
        return Loss(options) is { } loss ? new SequenceObjective(loss, Reference(options, model)) : new TokenObjective(options);
    }

    /// <summary>What a run's objective measures beside its loss, by TRL's names.</summary>
    /// <param name="options">The run.</param>
    public static IReadOnlyList<string> Metrics(TrainingOptions options) =>
        options.Objective == "grpo" ? GrpoObjective.Names(options) : Loss(options)?.Metrics ?? [];

    // Null for the one objective over tokens.
    private static ISequenceLoss? Loss(TrainingOptions options) => options.Objective switch
    {
        "sft" => null,
        "dpo" => new DpoLoss(options),
        "kto" => new KtoLoss(options),
        "orpo" => new OrpoLoss(options),
        "simpo" => new SimpoLoss(options),
        _ => throw new OptionException($"--objective '{options.Objective}' is unknown; use one of {string.Join(", ", Names)}"),
    };

    /// <summary>Whether the reference is a frozen copy of the adapter: unless said otherwise where one is continued, since that is what must not be strayed
    /// from.</summary>
    internal static bool ReferenceIsAdapter(TrainingOptions options) =>
        AsksReference(options) && (options.Preference.Reference == "adapter"
        || options.Preference.Reference is null && options.AdapterDirectory is not null);

    /// <summary>The reference of a run; null where its objective has none.</summary>
    /// <param name="options">The run.</param>
    /// <param name="model">Loaded, its adapter as the run begins with it.</param>
    internal static IReference? Reference(TrainingOptions options, IAdaptedModel model)
    {
        if (!AsksReference(options)) return null;
        return ReferenceIsAdapter(options) ? new FrozenAdapter(model.Parameters) : new BareBase();
    }
}
