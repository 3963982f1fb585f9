using Trainer.Cli.CommandLine;

namespace Trainer.Cli.Options;

/// <summary>Settings that say what is trained on and how text becomes tokens.</summary>
internal static class DataSettings
{
    private const string Group = "Data";

    public static readonly Setting Data = new("data", SettingKind.Sources, Group, "Training file or folder, or 'demo' (embedded); repeatable. FILE,weight=2 mixes by weight; FILE,prompt=question renames a column.")
    { Short = "-d", Value = "FILE|DIR", InRecipe = true, Aliases = ["dataset", "dataset-name", "train-data", "train-file", "data-path"] };

    public static readonly Setting EvalData = new("eval-data", SettingKind.Sources, Group, "Held-out file or folder; repeatable.")
    { Value = "FILE|DIR", InRecipe = true, DefaultNote = "the folder's own valid file", Aliases = ["eval-dataset", "validation-file", "eval-file"] };

    public static readonly Setting EvalSplit = new("eval-split", SettingKind.Number, Group, "Rows held out of the training data where no held-out data is named: a share below 1, or a count.")
    { Value = "N", Minimum = 0, Default = "0", InRecipe = true, Aliases = ["val-size", "val-set-size", "split-dataset-ratio"] };

    public static readonly Setting MaxSeqLength = new("max-seq-length", SettingKind.Integer, Group, "Longest row in tokens; where not given, training stays within the positions of the model.")
    { Value = "N", Minimum = 2, Maximum = 16777216, Default = "2048", InRecipe = true, Aliases = ["max-length", "cutoff-len", "sequence-len", "seq-len"] };

    public static readonly Setting OnTooLong = new("on-too-long", SettingKind.Choice, Group, "What happens to a longer row; where neither this nor --max-seq-length is given, training text is split.")
    { Value = "ACTION", Choices = ["error", "drop", "truncate", "split"], Default = "error", InRecipe = true };

    public static readonly Setting Packing = new("packing", SettingKind.Flag, Group, "Fit several rows into one sequence; they never see each other.")
    { Default = "false", InRecipe = true, Aliases = ["sample-packing"] };

    public static readonly Setting GroupByLength = new("group-by-length", SettingKind.Flag, Group, "Batch rows of similar length together.")
    { Default = "true", InRecipe = true };

    public static readonly Setting TrainOn = new("train-on", SettingKind.Choice, Group, "Which tokens carry loss; auto takes the assistant's turns of chats, the completion of prompts, all of plain text.")
    { Value = "PART", Choices = ["auto", "assistant", "completion", "all", "last"], Default = "auto", InRecipe = true };

    public static readonly Setting ChatTemplate = new("chat-template", SettingKind.Text, Group, "Jinja file that replaces the model's chat template.")
    { Value = "FILE", InRecipe = true, Aliases = ["chat-template-path"] };

    public static readonly Setting DropEmpty = new("drop-empty", SettingKind.Flag, Group, "Leave out rows that would train on nothing instead of refusing the run.")
    { Default = "false", InRecipe = true };

    public static readonly Setting AllowMissingEos = new("allow-missing-eos", SettingKind.Flag, Group, "Permit trained turns that do not end with a trained end-of-turn token.")
    { Default = "false", InRecipe = true };

    public static readonly Setting OnBadRow = new("on-bad-row", SettingKind.Choice, Group, "What happens to a malformed row.")
    { Value = "ACTION", Choices = ["error", "drop"], Default = "error", InRecipe = true };

    public static readonly Setting TruncateAnswers = new("truncate-answers", SettingKind.Flag, Group, "With --on-too-long truncate: cut even inside the last trained turn.")
    { Default = "false", InRecipe = true };

    public static readonly Setting Shuffle = new("shuffle", SettingKind.Flag, Group, "Take rows in file order, --batch-size consecutive rows a micro-batch.")
    { Default = "true", ShownAsNo = true, InRecipe = true };

    public static readonly Setting DataSeed = new("data-seed", SettingKind.Integer, Group, "Seed of the row order.")
    { Value = "N", Minimum = 0, DefaultNote = "--seed", InRecipe = true };
}
