using System.Text.Json;

namespace Trainer.Smoke.Tests.CommandLine;

/// <summary>Each option of train, changed alone, changes the effective options; an option that nothing reads would not.</summary>
[Trait("ring", "smoke")]
public sealed class MutationTests
{
    private static readonly Dictionary<string, string> Values = new()
    {
        ["data"] = "{folder}/e.jsonl", ["eval_data"] = "{folder}/d.jsonl", ["chat_template"] = "{folder}/t.jinja", ["sample_prompts"] = "{folder}/p.txt",
        ["adapter"] = "{folder}/a", ["model"] = "{folder}/a",
        ["device"] = "cpu", ["resume"] = "auto", ["output_dir"] = "elsewhere", ["max_memory"] = "3GiB",
        ["device_memory"] = "3GiB", ["max_time"] = "3h", ["target_modules"] = "v_proj",
        ["modules_to_save"] = "lm_head", ["target_parameters"] = "experts.down_proj", ["layers_to_transform"] = "1", ["exclude_modules"] = "o_proj",
        ["trainable_token_indices"] = "3", ["add_tokens"] = "{folder}/n.txt",
        ["rank_pattern"] = "q_proj=3", ["alpha_pattern"] = "q_proj=3", ["report_to"] = "none", ["eval_metrics"] = "f1", ["answer_pattern"] = "number",
        ["lr_scheduler"] = "cosine-with-restarts", ["lr_scheduler_args"] = "num_cycles=2", ["objective"] = "dpo", ["loss_type"] = "conservative,sft",
        ["loss_weights"] = "1,2", ["label_smoothing"] = "0.1", ["reference"] = "none", ["beta"] = "0.3",
        ["desirable_weight"] = "2", ["undesirable_weight"] = "2", ["metric_for_best_model"] = "rewards/margins", ["simpo_gamma"] = "2", ["ld_alpha"] = "0.5",
        ["eva_rho"] = "3", ["lr_pattern"] = "q_proj=1e-3", ["optim_args"] = "min_8bit_size=9", ["on_too_long"] = "truncate",
        ["reward_timeout"] = "3s", ["num_generations"] = "4", ["reward_weights"] = "3", ["epsilon_high"] = "0.3",
        ["chat_template_arg"] = "enable_thinking=false", ["allow_dropped"] = "reasoning",
    };

    /// <summary>Settings that exclude one of the others and so are tried alone.</summary>
    private static readonly string[] Alone = ["adapter", "add_tokens", "eval_split", "epochs", "layers_to_transform", "quantize", "shuffle", "model",
        "warmup_ratio", "simpo_gamma", "desirable_weight", "undesirable_weight", "precompute_reference", "overwrite_output_dir", "eval_strategy",
        "eval_metrics", "eva_rho", "device_memory"];

    /// <summary>What grpo alone reads.</summary>
    private static readonly string[] Rewarded = ["reward_weights", "reward_timeout", "num_generations", "max_completion_length", "temperature", "top_p",
        "top_k", "min_p", "repetition_penalty", "num_iterations", "epsilon", "epsilon_high", "importance_sampling_level", "scale_rewards",
        "mask_truncated_completions"];

    /// <summary>What a setting tried alone has a meaning with.</summary>
    private static readonly Dictionary<string, string[]> Company = new()
    {
        ["precompute_reference"] = ["--objective=dpo"], ["eva_rho"] = ["--init-lora=eva"], ["device_memory"] = ["--device=libtorch"],
        ["simpo_gamma"] = ["--objective=simpo"],
        ["desirable_weight"] = ["--objective=kto", "--batch-size=2"], ["undesirable_weight"] = ["--objective=kto", "--batch-size=2"],
    };

    private static readonly string[] WithRewards = ["--objective=grpo", "--batch-size=8", "--reward-command=true"];

    [Fact]
    public void Every_key_of_the_schema_changes_its_value_in_the_effective_recipe()
    {
        using var folder = new TemporaryFolder();
        foreach (var name in new[] { "d.jsonl", "e.jsonl", "t.jinja", "p.txt", "n.txt", "m/config.json", "a/config.json" })
            folder.File(name, "{\"text\":\"a\"}\n");
        var changes = TrainerProgram.RunWarm("schema").Json().GetProperty("properties").EnumerateObject()
            .Where(property => !property.Value.TryGetProperty("$ref", out _))
            .ToDictionary(property => property.Name,
                property => Other(property.Value, property.Name).Replace("{folder}", folder.Path, StringComparison.Ordinal));
        Assert.True(changes.Count > 50);
        var before = Effective(folder, new Dictionary<string, string>());
        var groups = Alone.Select(name => changes.Where(change => change.Key == name)).Append(changes.Where(change => Rewarded.Contains(change.Key)))
            .Append(changes.Where(change => !Alone.Contains(change.Key) && !Rewarded.Contains(change.Key)));
        foreach (var group in groups.Select(group => group.ToDictionary()))
        {
            var after = Effective(folder, group);
            Assert.All(group.Keys, key => Assert.NotEqual(before.GetValueOrDefault(key, ""), after.GetValueOrDefault(key, "")));
        }
    }

    private static Dictionary<string, string> Effective(TemporaryFolder folder, Dictionary<string, string> changes)
    {
        var words = new Dictionary<string, string> { ["model"] = "m", ["data"] = "d.jsonl", ["output_dir"] = "out" };
        foreach (var (key, value) in changes) words[key] = value;
        // Only a model with a tokenizer can have tokens added.
        if (changes.ContainsKey("add_tokens")) words["model"] = "tiny";
        var result = TrainerProgram.RunWarm(new ProgramRun(["train", "--dry-run", "--json", .. words.Select(pair => $"--{pair.Key}={pair.Value}"),
            .. changes.Keys.SelectMany(key => Company.GetValueOrDefault(key, Rewarded.Contains(key) ? WithRewards : [])).Distinct()]) { Directory = folder.Path,
                Environment = new Dictionary<string, string> { ["TRAINER_CACHE"] = Path.Combine(folder.Path, "cache") } });
        return result.Recipe().EnumerateObject().ToDictionary(pair => pair.Name, pair => pair.Value.GetRawText());
    }

    /// <summary>A value the key takes that is not its default.</summary>
    private static string Other(JsonElement property, string name)
    {
        if (Values.TryGetValue(name, out var value)) return value;
        property.TryGetProperty("default", out var given);
        if (property.TryGetProperty("enum", out var words))
            return words.EnumerateArray().First(word => word.ValueKind == JsonValueKind.String && word.GetString() != given.GetString()).GetString()!;
        return property.GetProperty("type").GetString() switch
        {
            "boolean" => given.ValueKind == JsonValueKind.True ? "false" : "true",
            "integer" => "5",
            "number" when property.TryGetProperty("exclusiveMaximum", out _) || property.TryGetProperty("maximum", out _) => name == "learning_rate"
                ? "0.01" : "0.5",
            "number" when name == "min_lr" => "1e-6",
            _ => "3",
        };
    }
}
