using Trainer.Training.Options;
using YamlDotNet.RepresentationModel;

namespace Trainer.Cli.Importing;

/// <summary>torchtune's data sets: builders of rows, each with a hub's data set or files of its own.</summary>
internal static class TorchtuneData
{
    // What a builder reads where nothing is named, the columns that mean the same here, and whether prompts are trained on.
    private static readonly Dictionary<string, (string? Source, string? Subset, Dictionary<string, string> Columns, bool TrainsPrompts)> Builders = new()
    {
        ["alpaca_dataset"] = ("tatsu-lab/alpaca", null, [], true),
        ["alpaca_cleaned_dataset"] = ("yahma/alpaca-cleaned", null, [], true),
        ["instruct_dataset"] = (null, null, new() { ["prompt"] = "input", ["completion"] = "output" }, false),
        ["chat_dataset"] = (null, null, [], false),
        ["slimorca_dataset"] = ("Open-Orca/SlimOrca-Dedup", null, [], false),
        ["text_completion_dataset"] = (null, null, [], true),
        ["wikitext_dataset"] = ("EleutherAI/wikitext_document_level", "wikitext-103-v1", new() { ["text"] = "page" }, true),
        ["preference_dataset"] = (null, null, [], false),
        ["hh_rlhf_helpful_dataset"] = ("RLHFlow/HH-RLHF-Helpful-standard", null, [], false),
        ["stack_exchange_paired_dataset"] = ("lvwerra/stack-exchange-paired", null,
            new() { ["prompt"] = "question", ["chosen"] = "response_j", ["rejected"] = "response_k" }, false),
    };

    /// <summary>One data set, or a list of them.</summary>
    public static void Read(ImportDraft draft, string key, YamlNode node, Setting setting)
    {
        var sources = new List<object>();
        foreach (var entry in node is YamlSequenceNode list ? list.Children : [node])
            if (entry is YamlMappingNode map) One(draft, key, map, setting, sources);
        if (sources.Count > 0) draft.Set(setting, sources);
    }

    private static void One(ImportDraft draft, string key, YamlMappingNode map, Setting setting, List<object> sources)
    {
        var fields = map.Children.ToDictionary(pair => pair.Key.ToString(), pair => pair.Value);
        string? Text(string name) => fields.Remove(name, out var value) && !ImportDraft.IsNothing(ImportDraft.Flat(value)) ? ImportDraft.Flat(value) : null;
        var (name, component) = (Torchtune.NameOf(map), Text("_component_") ?? "none");
        if (!Builders.TryGetValue(name, out var builder))
        {
            draft.Change(key + "._component_", component, "this builder's rows are not written here; write them as messages, or as prompt and completion");
            return;
        }
        var columns = builder.Columns.ToDictionary(pair => pair.Key, object (pair) => pair.Value);
        Columns(draft, key, name, fields, Text, columns);
        var trainsPrompts = Text("train_on_input") is { } word ? ImportDraft.Truth(word) ?? builder.TrainsPrompts : builder.TrainsPrompts;
        var isPairs = name is "preference_dataset" or "hh_rlhf_helpful_dataset" or "stack_exchange_paired_dataset";
        if (trainsPrompts && isPairs) draft.Change(key + ".train_on_input", "true", "prompts of pairs carry no loss");
        else if (trainsPrompts && setting == DataSettings.Data) draft.Set(DataSettings.TrainOn, "all");
        if (Text("packed") is { } packed && ImportDraft.Truth(packed) is true)
        {
            draft.Set(DataSettings.Packing, true);
            if ((Text("split_across_pack") ?? (name is "text_completion_dataset" ? "true" : "false")) is var splits && ImportDraft.Truth(splits) is true)
                draft.Change(key + ".split_across_pack", splits, "rows packed together are whole");
        }
        else Text("split_across_pack");
        if (name.StartsWith("alpaca", StringComparison.Ordinal))
            ImportedData.Differs(draft, key + "._component_", component, ImportedData.HasTemplate(draft) is true,
                "the user's turn is the instruction alone here, and the Alpaca prompt there");
        if (name == "stack_exchange_paired_dataset")
            draft.Miss($"{key}: rows are plain text here, and turns of the tokenizer's format there; look at 'trainer data show'");
        var (path, files, split) = (Text("source") ?? builder.Source, Text("data_files"), Text("split"));
        var subset = Text("name") ?? Text("subset") ?? builder.Subset;
        if (split == "train" && setting == DataSettings.Data) split = null;
        Text("trust_remote_code");
        foreach (var (other, value) in fields)
            if (!ImportDraft.IsNothing(ImportDraft.Flat(value))) draft.Change($"{key}.{other}", ImportDraft.Flat(value), "nothing here does this to the rows");
        foreach (var source in ImportedData.Files(draft, key, path, files))
            sources.Add(ImportedData.Source(draft, key + ".split", source, split, subset, columns));
    }

    private static void Columns(ImportDraft draft, string key, string name, Dictionary<string, YamlNode> fields, Func<string, string?> text,
        Dictionary<string, object> columns)
    {
        if (text("conversation_column") is { } turns && turns is not ("messages" or "conversations")) columns["messages"] = turns;
        if (text("conversation_style") is { } style && style is not ("sharegpt" or "openai"))
            draft.Change(key + ".conversation_style", style, "a turn has role and content, or from and value");
        if (name is "text_completion_dataset" && text("column") is { } column && column != "text") columns["text"] = column;
        if (text("add_eos") is { } end && ImportDraft.Truth(end) is false) draft.Change(key + ".add_eos", end, "a text ends with the end token");
        text("max_seq_len");
        if (!fields.Remove("column_map", out var named)) return;
        foreach (var (theirs, column2) in ImportDraft.Pairs(named))
        {
            var ours = (name, theirs.ToString()) switch
            {
                ("instruct_dataset", "input") => "prompt",
                ("instruct_dataset", "output") => "completion",
                ("chat_dataset", "conversations") => "messages",
                (_, "instruction" or "input" or "output" or "prompt" or "chosen" or "rejected") => theirs.ToString(),
                _ => null,
            };
            if (ours is null) draft.Change($"{key}.column_map.{theirs}", ImportDraft.Flat(column2), "no column here has this meaning");
            else if (ours == ImportDraft.Flat(column2)) columns.Remove(ours);
            else columns[ours] = ImportDraft.Flat(column2);
        }
    }
}
