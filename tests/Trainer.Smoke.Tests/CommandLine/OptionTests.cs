namespace Trainer.Smoke.Tests.CommandLine;

/// <summary>What the command line takes, refuses and says.</summary>
[Trait("ring", "smoke")]
public sealed class OptionTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _data;
    private readonly string _model;

    public OptionTests()
    {
        _data = _folder.File("d.jsonl", "{\"text\":\"a\"}\n");
        _model = Path.GetDirectoryName(_folder.File("m/config.json", "{}"))!;
    }

    public void Dispose() => _folder.Dispose();

    private ProgramResult Dry(params string[] words)
        => TrainerProgram.RunWarm(new ProgramRun(["train", "--model", _model, "--data", _data, "--output", "runs/x", "--dry-run",
            .. words]) { Directory = _folder.Path });

    private Dictionary<string, string> Effective(params string[] words)
        => Dry([.. words, "--json"]).Recipe().EnumerateObject().ToDictionary(pair => pair.Name, pair => pair.Value.GetRawText());

    [Fact]
    public void The_flagship_line_parses_and_an_absent_model_is_answered_with_what_to_type()
    {
        var line = "train --model NousResearch/Hermes-3-Llama-3.1-70B --batch-size 1 --lora-rank 16 --max-steps 5000 --output models/hermes-70b-lora";
        var result = TrainerProgram.RunWarm(new ProgramRun(line.Split(' ')) { Environment = new Dictionary<string, string> { ["HF_HOME"] = _folder.Path } });
        var fault = Assert.Single(result.Faults(69));
        Assert.Contains("trainer download NousResearch/Hermes-3-Llama-3.1-70B", fault, StringComparison.Ordinal);
    }

    [Fact]
    public void Snake_case_and_aliases_mean_the_same_as_the_shown_names()
    {
        var shown = Effective("--lora-rank", "8", "--learning-rate", "1e-3", "--gradient-accumulation-steps", "2", "--no-shuffle", "--max-seq-length", "64");
        var habits = Effective("--lora_r=8", "--lr", "0.001", "--gradient_accumulation_steps", "2", "--shuffle", "false", "--cutoff_len", "64");
        Assert.Equal(shown, habits);
    }

    [Fact]
    public void Habits_of_other_tools_are_understood()
    {
        var effective = Effective("--load_in_8bit", "--bf16", "true", "--no-gradient-checkpointing", "--lora_target", "q_proj", "v_proj");
        Assert.Equal("\"int8\"", effective["quantize"]);
        Assert.Equal("\"bfloat16\"", effective["dtype"]);
        Assert.Equal("\"none\"", effective["gradient_checkpointing"]);
        Assert.Contains("v_proj", effective["target_modules"], StringComparison.Ordinal);
    }

    [Fact]
    public void Options_that_ask_for_what_is_done_anyway_are_taken_and_their_other_values_are_not()
    {
        var effective = Effective("--stage", "sft", "--do_train", "--finetuning_type", "lora", "--use_peft", "--optim", "adamw_torch", "--eval_strategy",
            "steps", "--quantization_bit", "8", "--assistant_only_loss", "--lora_target_linear");
        Assert.Equal("\"int8\"", effective["quantize"]);
        Assert.Equal("\"assistant\"", effective["train_on"]);
        Assert.Equal(2, Dry("--stage", "ppo", "--finetuning_type", "full", "--use_peft", "false").Faults(2).Length);
    }

    [Fact]
    public void Every_fault_is_reported_at_once()
    {
        var faults = Dry("--lora-rank", "0", "--lr", "fast", "--quantize", "np4", "--max-memory", "5Q", "--max-time", "5", "--warmup-steps", "2.5").Faults(2);
        Assert.Equal(6, faults.Length);
        Assert.Contains(faults, fault => fault.Contains("did you mean 'nf4'?", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("--lora-rnak", "8", "did you mean '--lora-rank'?")]
    [InlineData("--max_step", "8", "unknown option '--max_step'; did you mean '--max-steps'?")]
    [InlineData("--lora_rnk", "8", "unknown option '--lora_rnk'; did you mean '--lora-rank'?")]
    [InlineData("--lora-dropout", "1", "below 1")]
    [InlineData("--batch-size", "2.5", "whole number")]
    [InlineData("--max-memory", "12", "")]
    [InlineData("--min-lr", "1", "lower it")]
    [InlineData("--resume", "nowhere", "no such checkpoint folder")]
    [InlineData("--adapter", "nowhere", "no such folder")]
    [InlineData("--rank-pattern", "q_proj=x", "whole number")]
    [InlineData("--report-to", "comet", "not one of")]
    [InlineData("--seed", "-3", "at least 0")]
    public void A_wrong_value_is_one_line_that_names_the_option(string option, string value, string part)
    {
        if (part.Length == 0)
        {
            Assert.NotEqual(2, Dry(option, value).ExitCode);
            return;
        }
        var fault = Assert.Single(Dry(option, value).Faults(2));
        Assert.Contains(part, fault, StringComparison.Ordinal);
        Assert.Contains(option[..6], fault, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--max-steps 5 --epochs 2")]
    [InlineData("--eval-data d.jsonl --eval-split 0.1")]
    [InlineData("--eval-data d.jsonl")]
    [InlineData("--quantize int8 --double-quant")]
    [InlineData("--lora-layers 2 --layers-to-transform 1")]
    [InlineData("--group-by-length --no-shuffle")]
    [InlineData("--allow-drift")]
    [InlineData("--adapter m --lora-rank 4")]
    [InlineData("--lr 1e-4 --lr 1e-3")]
    [InlineData("--truncate-answers")]
    public void A_contradiction_is_named(string words) => Assert.NotEmpty(Dry(words.Split(' ')).Faults(2));

    [Fact]
    public void The_command_line_wins_over_the_recipe_and_the_recipe_over_the_defaults()
    {
        var recipe = _folder.File("r.yaml", "lr: 1e-3\nlora_r: 4\nepochs: 3\n");
        var effective = Effective("--config", recipe, "--lora-rank", "8", "--max-steps", "5");
        Assert.Equal("0.001", effective["learning_rate"]);
        Assert.Equal("8", effective["lora_rank"]);
        Assert.Equal("5", effective["max_steps"]);
        Assert.DoesNotContain("epochs", effective.Keys);
        Assert.Equal("1", effective["batch_size"]);
    }

    [Theory]
    [InlineData("lora_rnak: 3", "did you mean 'lora_rank'?")]
    [InlineData("lr: 1e-4\nlearning_rate: 1e-3", "repeats")]
    [InlineData("packing: {a: 1}", "one value")]
    [InlineData("packing: perhaps", "neither true nor false")]
    [InlineData("a:\n\t- b", "not YAML")]
    [InlineData("- a\n- b", "key: value")]
    [InlineData("data:\n  - path: x\n    wieght: 2", "unknown key")]
    public void A_faulty_recipe_is_refused_with_its_line(string yaml, string part)
    {
        var faults = Dry("--config", _folder.File("r.yaml", yaml)).Faults(2);
        Assert.Contains(faults, fault => fault.Contains(part, StringComparison.Ordinal) && fault.Contains("r.yaml", StringComparison.Ordinal));
    }

    [Fact]
    public void The_printed_recipe_makes_the_same_run_again()
    {
        string[] words = ["--lora-rank", "8", "--rank-pattern", "q_proj=4,.*down.*=2", "--target-modules", "q_proj,down_proj", "--max-time", "90m",
            "--max-memory", "12GiB", "--no-shuffle", "--warmup-steps", "0", "--max-steps", "7"];
        var recipe = _folder.File("r.yaml", Dry(words).Output);
        var again = TrainerProgram.RunWarm(new ProgramRun("train", recipe, "--dry-run") { Directory = _folder.Path });
        Assert.Equal(File.ReadAllText(recipe), again.Output);
    }

    [Fact]
    public void An_option_that_may_stand_alone_does_not_swallow_the_recipe_behind_it()
    {
        var recipe = _folder.File("r.yaml", "lora_r: 4\n");
        foreach (var option in new[] { "--packing", "--resume", "--gradient-checkpointing", "-q" })
            Assert.Equal("4", Effective(option, recipe)["lora_rank"]);
        Assert.Equal("\"none\"", Effective("--gradient_checkpointing", "false")["gradient_checkpointing"]);
        Assert.Equal("\"on\"", Effective("--gradient_checkpointing", "true")["gradient_checkpointing"]);
    }

    [Fact]
    public void A_data_source_carries_its_weight_and_its_columns()
    {
        var effective = Effective("--data", _data + ",weight=2,text=body");
        Assert.Contains("\"weight\": 2", effective["data"], StringComparison.Ordinal);
        Assert.Contains("\"text\": \"body\"", effective["data"], StringComparison.Ordinal);
    }
}
