using Trainer.Training.State;

namespace Trainer.Training.Options;

/// <summary>Settings that say what is trained on and how text becomes tokens.</summary>
public static class DataSettings
{
#pragma warning disable CS1591 // the help text of each row is its documentation
    private const string Group = "Data";

    public static readonly Setting Data = Setting.Of(o => o.Data.Train, "data", Group,
        "Training file or folder, or 'demo' (embedded); repeatable. FILE,weight=2 mixes by weight; FILE,prompt=question renames a column; FILE[:10%] or "
        + "DIR,split=train[:500] takes a part.") with
    { Short = "-d", Value = "FILE|DIR", Aliases = ["dataset", "dataset-name", "train-data", "train-file", "data-path"] };

    public static readonly Setting EvalData = Setting.Of(o => o.Data.Eval, "eval-data", Group, "Held-out file or folder; repeatable.") with
    { Value = "FILE|DIR", DefaultNote = "the folder's own valid file", Aliases = ["eval-dataset", "validation-file", "eval-file"] };

    public static readonly Setting EvalSplit = Setting.Of(o => o.Data.EvalSplit, "eval-split", Group,
        "Rows held out of the training data where no held-out data is named: a share below 1, or a count.") with
    { Value = "N", Minimum = 0, Aliases = ["val-size", "val-set-size", "split-dataset-ratio"] };

    public static readonly Setting MaxSamples = Setting.Of(o => o.Data.MaxSamples, "max-samples", Group,
        "Most rows taken of each training source, the first ones.") with
    { Value = "N", Minimum = 1, DefaultNote = "all", Aliases = ["max-train-samples"] };

    public static readonly Setting MaxEvalSamples = Setting.Of(o => o.Data.MaxEvalSamples, "max-eval-samples", Group,
        "Most held-out rows evaluated, the first ones of each source.") with
    { Value = "N", Minimum = 1, DefaultNote = "all" };

    public static readonly Setting MaxSeqLength = Setting.Of(o => o.Data.MaxSeqLength, "max-seq-length", Group,
        "Longest row in tokens; where not given, training stays within the positions of the model.") with
    { Value = "N", Minimum = 2, Maximum = 16777216, Aliases = ["max-length", "cutoff-len", "sequence-len", "seq-len"] };

    public static readonly Setting OnTooLong = Setting.Of(o => o.Data.OnTooLong, "on-too-long", Group,
        "What happens to a longer row; where neither this nor --max-seq-length is given, training text is split.") with
    { Value = "ACTION" };

    public static readonly Setting Packing = Setting.Of(o => o.Packing, "packing", Group,
        "Fit several rows into one sequence; they never see each other.") with
    { Aliases = ["sample-packing"] };

    public static readonly Setting GroupByLength = Setting.Of(o => o.GroupByLength, "group-by-length", Group, "Batch rows of similar length together.") with
    { Writes = o => o.Shuffle ? o.GroupByLength : null };

    public static readonly Setting TrainOn = Setting.Of(o => o.Data.TrainOn, "train-on", Group,
        "Which tokens carry loss; auto takes the assistant's turns of chats, the completion of prompts, all of plain text.") with
    { Value = "PART" };

    public static readonly Setting ChatTemplate = Setting.Of(o => o.Data.ChatTemplateFile, "chat-template", Group,
        "Jinja file, or the name of one that comes along (chatml, llama3, gemma, ...), that replaces the model's chat template.") with
    { Value = "FILE|NAME", Aliases = ["chat-template-path"], Kind = SettingKind.File, Reads = NamedTemplates.Read,
    Writes = o => NamedTemplates.NameOf(o.Data.ChatTemplateFile), Drift = DriftRule.Free };

    public static readonly Setting ChatTemplateArg = Setting.Of(o => o.Data.TemplateVariables, "chat-template-arg", Group,
        "Variable of the chat template, such as enable_thinking=false; repeatable. A row's own chat_template_kwargs win over it.") with
    { Value = "NAME=VALUE", Aliases = ["chat-template-args", "chat-template-kwargs"], Reads = TemplateArguments.Read };

    public static readonly Setting Reasoning = Setting.Of(o => o.Data.Reasoning, "reasoning", Group,
        "Reasoning before answers: keep trains it as the rows have it, last keeps that of the turns behind the last question, strip takes it out.") with
    { Value = "PART" };

    public static readonly Setting AllowDropped = Setting.Of(o => o.Data.AllowDropped, "allow-dropped", Group,
        "What the chat template may leave out of a trained turn (content, reasoning, tool_calls); a row that loses it otherwise is refused.") with
    { Value = "LIST", Reads = ReadDroppable };

    public static readonly Setting DropEmpty = Setting.Of(o => o.Data.DropEmpty, "drop-empty", Group,
        "Leave out rows that would train on nothing instead of refusing the run.");

    public static readonly Setting AllowMissingEos = Setting.Of(o => o.Data.AllowMissingEos, "allow-missing-eos", Group,
        "Permit trained turns that do not end with a trained end-of-turn token.");

    public static readonly Setting OnBadRow = Setting.Of(o => o.Data.OnBadRow, "on-bad-row", Group, "What happens to a malformed row.") with
    { Value = "ACTION" };

    public static readonly Setting TruncateAnswers = Setting.Of(o => o.Data.TruncateAnswers, "truncate-answers", Group,
        "With --on-too-long truncate: cut even inside the last trained turn.");

    public static readonly Setting Shuffle = Setting.Of(o => o.Shuffle, "shuffle", Group,
        "Take rows in file order, --batch-size consecutive rows a micro-batch.") with
    { ShownAsNo = true };

    public static readonly Setting DataSeed = Setting.Of(o => o.DataSeed, "data-seed", Group, "Seed of the row order.") with
    { Value = "N", Minimum = 0, DefaultNote = "--seed" };

    private static readonly string[] Droppable = ["content", "reasoning", "tool_calls"];

    private static string[] ReadDroppable(SettingValues values, Setting setting)
    {
        var names = values.List(setting).Select(name => name.Replace('-', '_')).Distinct().Order(StringComparer.Ordinal).ToArray();
        foreach (var name in names.Except(Droppable))
            values.Fault($"{values.Origin(setting)} '{name}' is nothing that a turn can lose; use {string.Join(", ", Droppable)}");
        return names;
    }
}
