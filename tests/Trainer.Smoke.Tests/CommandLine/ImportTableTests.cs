using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Trainer.Smoke.Tests.CommandLine;

/// <summary>
/// Configurations of the forms that the tools' own examples have, each with the whole recipe worked out by hand from the tool's documents:
/// no key too many, none missing, and what is refused or not here named exactly.
/// </summary>
[Trait("ring", "smoke")]
public sealed class ImportTableTests
{
    // What each tool does where its configuration is silent and trainer would do something else.
    private static readonly Dictionary<string, string> Defaults = new()
    {
        ["axolotl"] =
            """{"quantize":"none","batch_size":1,"gradient_accumulation_steps":1,"max_seq_length":512,"on_too_long":"drop","group_by_length":false,"target_modules":["q_proj","v_proj"],"save_strategy":"epoch"}""",
        ["llama-factory"] =
            """{"quantize":"none","learning_rate":0.00005,"lora_rank":8,"logging_steps":500,"batch_size":8,"gradient_accumulation_steps":1,"epochs":3,"lr_scheduler":"linear","warmup_steps":0,"on_too_long":"truncate","group_by_length":false,"save_steps":500,"save_total_limit":0}""",
        ["llama-factory-v1"] =
            """{"quantize":"none","dtype":"bfloat16","lora_rank":8,"lora_alpha":16,"lora_dropout":0.05,"target_modules":"all-linear","batch_size":1,"gradient_accumulation_steps":1,"learning_rate":0.0001,"epochs":3,"lr_scheduler":"constant","warmup_steps":0,"weight_decay":0.01,"max_seq_length":2048,"on_too_long":"truncate","group_by_length":false,"logging_steps":1,"save_steps":0,"save_total_limit":0}""",
        ["torchtune"] =
            """{"quantize":"none","lora_rank":8,"lora_alpha":16,"gradient_accumulation_steps":1,"max_grad_norm":0,"lr_scheduler":"constant","warmup_steps":0,"group_by_length":false,"on_too_long":"truncate","save_strategy":"epoch","save_total_limit":0,"logging_steps":1}""",
        ["trl"] =
            """{"quantize":"none","learning_rate":0.00002,"max_seq_length":1024,"lora_alpha":32,"lora_dropout":0.05,"target_modules":["q_proj","v_proj"],"logging_steps":10,"batch_size":8,"gradient_accumulation_steps":1,"epochs":3,"lr_scheduler":"linear","warmup_steps":0,"on_too_long":"truncate","group_by_length":false,"save_steps":500,"save_total_limit":0}""",
        ["mlx-lm"] =
            """{"quantize":"none","batch_size":4,"gradient_accumulation_steps":1,"learning_rate":0.00001,"lr_scheduler":"constant","warmup_steps":0,"max_grad_norm":0,"on_too_long":"truncate","seed":0,"max_steps":1000,"logging_steps":10,"eval_steps":200,"save_steps":100,"lora_rank":8,"lora_alpha":160,"lora_layers":16,"train_on":"all","max_eval_samples":100}""",
        ["unsloth"] =
            """{"quantize":"nf4","learning_rate":0.00002,"max_seq_length":2048,"lora_rank":16,"lora_alpha":16,"target_modules":["q_proj","k_proj","v_proj","o_proj","gate_proj","up_proj","down_proj"],"batch_size":8,"gradient_accumulation_steps":1,"epochs":3,"lr_scheduler":"linear","warmup_steps":0,"on_too_long":"truncate","group_by_length":false,"save_steps":500,"save_total_limit":0}""",
    };

    [Fact]
    public void Each_configuration_becomes_the_recipe_that_was_worked_out_by_hand()
    {
        using var folder = new TemporaryFolder();
        folder.File("d.jsonl", "{\"messages\":[]}\n");
        folder.File("e.jsonl", "{\"messages\":[]}\n");
        folder.File("rows/train.jsonl", "{\"messages\":[]}\n");
        folder.File("lf/dataset_info.json", "{\"first\":{\"file_name\":\"d.json\"},\"second\":{\"file_name\":\"d.json\"}}");
        folder.File("v1.yaml", "first: {path: d.jsonl, source: local, converter: sharegpt}\nsecond: {path: e.jsonl, split: 'train[:5]', size: 9}\n");
        folder.File("pairs.yaml", "only: {path: d.jsonl, source: local, converter: pair}\n");
        Directory.CreateDirectory(Path.Combine(folder.Path, "old"));
        var table = File.ReadAllText(Path.Combine(TrainerProgram.Repository, "tests", "fixtures", "imports", "configurations.txt")).Split("== ",
            StringSplitOptions.RemoveEmptyEntries);
        Assert.True(table.Length >= 60);
        var wrong = new ConcurrentBag<string>();
        Parallel.For(0, table.Length, new ParallelOptions { MaxDegreeOfParallelism = 2 }, at =>
        {
            var (head, body) = (table[at][..table[at].IndexOf('\n')], table[at][(table[at].IndexOf('\n') + 1)..]);
            var (yaml, expected) = (body[..body.IndexOf("\n--\n", StringComparison.Ordinal)], body[(body.IndexOf("\n--\n", StringComparison.Ordinal) + 4)..]);
            var run = TrainerProgram.RunWarm(new ProgramRun("import", folder.File($"{at}.yaml", yaml), "--json") { Directory = folder.Path });
            foreach (var fault in Faults(head.Split(':')[0], expected.Split('\n', StringSplitOptions.RemoveEmptyEntries), run)) wrong.Add($"{head}: {fault}");
        });
        Assert.True(wrong.IsEmpty, string.Join('\n', wrong));
    }

    private static IEnumerable<string> Faults(string tool, string[] lines, ProgramResult run)
    {
        if (run.Output.Length == 0)
        {
            yield return run.Error;
            yield break;
        }
        var answer = JsonNode.Parse(run.Output)!;
        if ((string)answer["from"]! != tool) yield return $"read as {answer["from"]}";
        var expected = JsonNode.Parse(Defaults[tool])!.AsObject();
        foreach (var line in lines.Where(line => line[0] is not ('!' or '~')))
        {
            var (key, value) = (line[..line.IndexOf(':')], line[(line.IndexOf(':') + 2)..]);
            expected.Remove(key);
            if (value != "-") expected[key] = JsonNode.Parse(value);
        }
        var recipe = answer["recipe"]!.AsObject();
        foreach (var key in expected.Select(pair => pair.Key).Union(recipe.Select(pair => pair.Key)))
            if (!Same(expected[key], recipe[key])) yield return $"{key} is {Text(recipe[key])}, and should be {Text(expected[key])}";
        var refused = lines.Where(line => line[0] == '!').Select(line => line[1..]).ToList();
        var said = answer["changes_the_job"]!.AsArray().Select(entry => (string)entry!["key"]!).Distinct().ToList();
        foreach (var key in refused.Except(said)) yield return $"'{key}' is not refused";
        foreach (var key in said.Except(refused)) yield return $"'{key}' is refused";
        if (run.ExitCode != (refused.Count > 0 ? 2 : 0)) yield return $"exit code {run.ExitCode}";
        var here = lines.Where(line => line[0] == '~').Select(line => line[1..]).ToList();
        var missing = answer["missing"]!.AsArray().Select(entry => (string)entry!).ToList();
        if (missing.Count != here.Count || here.Any(words => !missing.Exists(sentence => sentence.Contains(words, StringComparison.Ordinal))))
            yield return $"missing: {string.Join(" | ", missing)}";
    }

    private static bool Same(JsonNode? one, JsonNode? other) =>
        one is JsonValue first && other is JsonValue second && first.GetValueKind() == JsonValueKind.Number && second.GetValueKind() == JsonValueKind.Number
            ? Math.Abs(first.GetValue<double>() - second.GetValue<double>()) <= 1e-9 * Math.Abs(first.GetValue<double>())
            : JsonNode.DeepEquals(one, other);

    private static string Text(JsonNode? node) => node?.ToJsonString() ?? "absent";
}
