using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.Json;
using Trainer.Data;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Training;
using Trainer.Training.Objectives;
using Trainer.Training.Options;

namespace Trainer.Engine.Tests.Training;

/// <summary>
/// Each option of the table, turned alone, changes what the trainer does: its adapter, its plan, its events, its files or its refusal.
/// An option that is read and then ignored fails here, whatever the command line prints.
/// </summary>
[Trait("ring", "slow")]
public sealed class OptionEffectTests : IDisposable
{
    private const string Rewarded =
        "--data={asked} --objective=grpo --batch-size=4 --num-generations=4 --max-completion-length=6 --reward-command={reward}";

    /// <summary>The option's words, and words that must stand beside them for it to have a meaning.</summary>
    private static readonly Dictionary<string, (string Words, string Beside)> Cases = new()
    {
        ["model"] = ("elsewhere", ""),
        ["quantize"] = ("int8", ""),
        ["double-quant"] = ("false", "--quantize=nf4"),
        ["dtype"] = ("bfloat16", ""),
        ["stream"] = ("on", ""),
        ["stream-micro-batches"] = ("1", "--stream=on --gradient-accumulation-steps=2 --gradient-checkpointing=on --quantize=nf4"),
        ["device"] = ("cuda", ""),
        ["threads"] = ("2", ""),
        ["max-memory"] = ("1MiB", ""),
        ["device-memory"] = ("1MiB", "--device=libtorch"),
        ["data"] = ("{other}", ""),
        ["eval-data"] = ("{other}", ""),
        ["eval-split"] = ("2", ""),
        ["max-seq-length"] = ("20", "--on-too-long=drop"),
        ["on-too-long"] = ("drop", "--max-seq-length=20"),
        ["packing"] = ("true", ""),
        ["group-by-length"] = ("false", ""),
        ["train-on"] = ("all", ""),
        ["chat-template"] = ("{template}", ""),
        ["drop-empty"] = ("true", "--data={empty}"),
        ["allow-missing-eos"] = ("true", "--chat-template={endless}"),
        ["on-bad-row"] = ("drop", "--data={bad}"),
        ["truncate-answers"] = ("true", "--on-too-long=truncate --max-seq-length=16"),
        ["shuffle"] = ("false", ""),
        ["data-seed"] = ("7", ""),
        ["lora-rank"] = ("4", ""),
        ["lora-alpha"] = ("3", ""),
        ["lora-dropout"] = ("0.5", ""),
        ["target-modules"] = ("q_proj", ""),
        ["lora-layers"] = ("2", ""),
        ["layers-to-transform"] = ("1", ""),
        ["use-rslora"] = ("true", ""),
        ["use-dora"] = ("true", ""),
        ["loraplus-ratio"] = ("4", ""),
        ["init-lora"] = ("pissa", ""),
        ["eva-rho"] = ("1", "--init-lora=eva"),
        ["freeze-a"] = ("true", ""),
        ["target-parameters"] = ("experts.down_proj", ""),
        ["modules-to-save"] = ("model.norm", ""),
        ["rank-pattern"] = ("q_proj=3", ""),
        ["alpha-pattern"] = ("q_proj=3", ""),
        ["bias"] = ("all", ""),
        ["lora-bias"] = ("true", ""),
        ["adapter"] = ("{adapter}", ""),
        ["max-steps"] = ("2", ""),
        ["epochs"] = ("0.5", "--max-steps=-1"),
        ["max-time"] = ("0.001s", ""),
        ["batch-size"] = ("3", ""),
        ["gradient-accumulation-steps"] = ("2", ""),
        ["learning-rate"] = ("1e-3", ""),
        ["optim"] = ("sgd", ""),
        ["lr-scheduler"] = ("linear", ""),
        ["warmup-steps"] = ("2", ""),
        ["min-lr"] = ("1e-4", ""),
        ["weight-decay"] = ("0.5", ""),
        ["adam-beta1"] = ("0.5", ""),
        ["adam-beta2"] = ("0.5", ""),
        ["adam-epsilon"] = ("0.1", ""),
        ["max-grad-norm"] = ("0.01", ""),
        ["lr-pattern"] = ("q_proj=1e-2", ""),
        ["neftune-noise-alpha"] = ("5", ""),
        ["gradient-checkpointing"] = ("on", ""),
        ["seed"] = ("7", ""),
        ["output-dir"] = ("{folder}/named", ""),
        ["logging-steps"] = ("1", ""),
        ["eval-metrics"] = ("f1,rouge_l", "--eval-data={other}"),
        ["eval-answers"] = ("1", "--eval-data={other} --eval-metrics=f1,rouge_l"),
        ["answer-tokens"] = ("1", "--eval-data={other} --eval-metrics=f1,rouge_l"),
        ["answer-pattern"] = ("[A-Z]", "--eval-data={other} --eval-metrics=exact_match"),
        ["eval-steps"] = ("1", "--eval-data={other}"),
        ["save-steps"] = ("1", ""),
        ["save-total-limit"] = ("1", "--save-steps=1"),
        ["early-stopping-patience"] = ("1", "--eval-data={other} --eval-steps=1 --learning-rate=5"),
        ["load-best-model-at-end"] = ("true", "--eval-data={other} --eval-steps=1 --learning-rate=5"),
        ["resume"] = ("auto", ""),
        ["allow-drift"] = ("true", "--output-dir={begun} --resume=auto --learning-rate=1e-3"),
        ["overwrite-output-dir"] = ("true", "--output-dir={begun}"),
        ["allow-high-loss"] = ("true", "--data={noise} --allow-high-loss=false"),
        ["max-samples"] = ("2", ""),
        ["max-eval-samples"] = ("1", "--eval-data={other}"),
        ["chat-template-arg"] = ("strange=true", "--chat-template={variable}"),
        ["reasoning"] = ("strip", "--data={thought} --chat-template={thinking}"),
        ["allow-dropped"] = ("reasoning", "--data={thought}"),
        ["adapter-for-text-class"] = ("true", ""),
        ["exclude-modules"] = ("q_proj", ""),
        ["trainable-token-indices"] = ("3,4", ""),
        ["lr-scheduler-args"] = ("num_cycles=2", "--lr-scheduler=cosine-with-restarts"),
        ["warmup-ratio"] = ("0.5", "--warmup-steps=0"),
        ["optim-args"] = ("momentum=0.9", "--optim=sgd"),
        ["eval-strategy"] = ("epoch", "--eval-data={other}"),
        ["save-strategy"] = ("epoch", ""),
        ["objective"] = ("simpo", "--data={pairs}"),
        ["loss-type"] = ("ipo", "--data={pairs} --objective=dpo"),
        ["loss-weights"] = ("1,3", "--data={pairs} --objective=dpo --loss-type=sigmoid,sft"),
        ["beta"] = ("0.7", "--data={pairs} --objective=dpo"),
        ["reference"] = ("none", "--data={pairs} --objective=dpo"),
        ["precompute-reference"] = ("true", "--data={pairs} --objective=dpo"),
        ["label-smoothing"] = ("0.2", ""),
        ["simpo-gamma"] = ("2", "--data={pairs} --objective=simpo"),
        ["ld-alpha"] = ("0.3", "--data={pairs} --objective=dpo"),
        ["pref-ftx"] = ("0.5", "--data={pairs} --objective=dpo"),
        ["nll-weight"] = ("0.5", "--data={pairs} --objective=dpo"),
        ["desirable-weight"] = ("3", "--data={labels} --objective=kto"),
        ["undesirable-weight"] = ("3", "--data={labels} --objective=kto"),
        ["metric-for-best-model"] = ("eval_rewards/accuracies", "--data={pairs} --objective=dpo --eval-data={pairs} --eval-steps=1"),
        ["sample-prompts"] = ("{prompts}", "--eval-data={other}"),
        ["reward-command"] = ("{other_reward}", Rewarded),
        ["reward-weights"] = ("3", Rewarded + " --scale-rewards=none"),
        ["reward-timeout"] = ("0.05s", "--data={asked} --objective=grpo --batch-size=4 --num-generations=4 --max-completion-length=6 --reward-command={slow}"),
        ["num-generations"] = ("2", Rewarded),
        ["max-completion-length"] = ("9", Rewarded),
        ["temperature"] = ("2", Rewarded),
        ["top-p"] = ("0.3", Rewarded),
        ["top-k"] = ("2", Rewarded),
        ["min-p"] = ("0.3", Rewarded),
        ["repetition-penalty"] = ("3", Rewarded),
        ["num-iterations"] = ("2", Rewarded),
        ["epsilon"] = ("0.0001", Rewarded + " --num-iterations=4 --learning-rate=0.05 --temperature=3"),
        ["epsilon-high"] = ("0.0001", Rewarded + " --num-iterations=4 --learning-rate=0.05 --temperature=3"),
        ["importance-sampling-level"] = ("sequence", Rewarded + " --num-iterations=4 --learning-rate=0.05 --temperature=3"),
        ["scale-rewards"] = ("none", Rewarded),
        ["mask-truncated-completions"] = ("true", Rewarded),
    };

    /// <summary>Read by the program and not by the trainer; smoke tests look at them.</summary>
    private static readonly string[] Programs = ["on-finish", "add-tokens", "report-to", "mlflow-uri", "config", "dry-run", "distributed"];

    private readonly string _folder = Directory.CreateTempSubdirectory("option-effects-").FullName;
    private readonly Dictionary<string, string> _names = [];

    public OptionEffectTests()
    {
        string[] questions = ["Count the legs of a beetle.", "What is wine made of?", "What colour is a banana?", "Who are you?",
            "Where does a fish live, and what does it eat there?"];
        Write("data", [.. questions.Select(question => Chat(question, "Arr! " + question[..^1] + ", matey!"))]);
        Write("other", [.. questions.Take(3).Select(question => Chat(question, "A banana."))]);
        Write("empty", [Chat("Who?", "I."), """{"messages":[{"role":"user","content":"a question alone"}]}"""]);
        Write("bad", [Chat("Who?", "I."), Chat("What?", "It."), """{"messages":7}"""]);
        Write("noise",
            [.. Enumerable.Range(0, 6).Select(i => Chat("zq" + i,
            string.Concat(Enumerable.Range(0, 30).Select(j => (char)(33 + (i * 37 + j * 61) % 90))) + "|"))]);
        Write("pairs", [.. questions.Take(4).Select(question => Pair(question, "Arr, matey!", "A banana, and nothing else at all."))]);
        Write("labels",
            [.. questions.Take(4).Select((question, i) =>
            JsonSerializer.Serialize(new { prompt = question, completion = i % 2 == 0 ? "Arr!" : "A banana.", label = i % 2 == 0 }))]);
        Write("thought",
            [.. questions.Take(3).Select(question =>
            JsonSerializer.Serialize(new { messages = new object[] { new { role = "user", content = question },
            new { role = "assistant", content = "A banana.", reasoning_content = "Let me think." } } }))]);
        Write("asked", [.. questions.Select(question => JsonSerializer.Serialize(new { prompt = question }))]);
        foreach (var (name, answer) in new[] { ("reward", "echo $((${#line} % 7))"), ("other_reward", "echo $((${#line} % 5))"),
            ("slow", "sleep 0.3; echo 1") })
        {
            Keep(name, name + ".sh", $"#!/bin/sh\nwhile read -r line; do {answer}; done\n");
            if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(_names[name], UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
        var template = File.ReadAllText(Path.Combine(ReferenceData.Embedded, "chat_template.jinja"));
        Keep("template", "t.jinja", template.Replace("assistant\\n", "pirate\\n", StringComparison.Ordinal));
        Keep("endless", "e.jinja", template.Replace("message['content'] + '<|im_end|>'", "message['content']", StringComparison.Ordinal));
        Keep("variable", "v.jinja", "{%- if strange %}{{- 'Ahoy!' }}{% endif %}" + template);
        Keep("thinking", "h.jinja", template.Replace("message['content'] + '<|im_end|>'",
            "(message['reasoning_content'] + '|' if message['reasoning_content'] else '') + message['content'] + '<|im_end|>'", StringComparison.Ordinal));
        Keep("prompts", "p.txt", "Who are you?\n");
        _names["folder"] = _folder;
        _names["adapter"] = Path.Combine(_folder, "adapter");
        _names["begun"] = Path.Combine(_folder, "begun");
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Every_row_of_the_table_has_a_case()
        => Assert.Equal(TrainSettings.All.Select(setting => setting.Name).Order(StringComparer.Ordinal),
            Cases.Keys.Concat(Programs).Order(StringComparer.Ordinal));

    [Fact]
    public void Every_property_of_the_options_has_one_row()
    {
        // A folder, a cache, the rows of new tokens, what rows are read for and the prompts follow from what rows say; the source's own record holds the data.
        string[] derived = ["ModelDirectory", "SamplePrompts", "Command", "Data.CacheDirectory", "Data.Purpose", "Data", "Lora", "Lora.TrainableHeadIndices",
            "Preference", "Grpo"];
        var paths = Paths("", typeof(TrainingOptions)).Concat(Paths("Data.", typeof(DataOptions))).Concat(Paths("Lora.", typeof(LoraOptions)))
            .Concat(Paths("Preference.", typeof(PreferenceOptions))).Concat(Paths("Grpo.", typeof(GrpoOptions))).Except(derived);
        Assert.Equal(paths.Order(StringComparer.Ordinal),
            TrainSettings.All.Where(setting => setting.Property is not null).Select(setting => setting.Property!.ToString()).Order(StringComparer.Ordinal));

        static IEnumerable<string> Paths(string before, Type type) =>
            type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.CanWrite).Select(property => before + property.Name);
    }

    [Fact]
    public void Each_option_turned_alone_changes_what_the_trainer_does()
    {
        Directory.CreateDirectory(_names["adapter"]);
        Footprint("--output-dir=" + _names["adapter"] + " --lora-rank=2");
        var plain = new Dictionary<string, string>();
        var idle = new List<string>();
        foreach (var (name, (words, beside)) in Cases)
        {
            if (!plain.TryGetValue(beside, out var before)) plain[beside] = before = Footprint(beside);
            if (before == Footprint($"{beside} --{name}={words}")) idle.Add(name);
        }
        Assert.True(idle.Count == 0, $"nothing changed with {string.Join(", ", idle)}");
    }

    [Fact]
    public void The_same_options_leave_the_same_footprint()
        // The control of the test above: without it any noise would pass for an effect.
        => Assert.Equal(Footprint(""), Footprint(""));

    /// <summary>What a run did: plan, events, losses, files and adapter, or why it would not.</summary>
    private string Footprint(string words)
    {
        var print = new StringBuilder();
        foreach (var (name, path) in _names) words = words.Replace($"{{{name}}}", path, StringComparison.Ordinal);
        var output = Path.Combine(_folder, "run");
        if (words.Contains(_names["begun"], StringComparison.Ordinal)) Begin();
        var watcher = new Watcher(print);
        try
        {
            var options = Options(words, output);
            output = options.OutputDirectory;
            var result = TrainingRun.Run(options, [watcher], CancellationToken.None);
            print.AppendLine(CultureInfo.InvariantCulture, $"{result.Steps} {result.Reason} {result.TrainLoss:R} {result.AdapterSha256}");
            print.AppendLine(File.ReadAllText(Path.Combine(output, "adapter_config.json")));
            foreach (var file in Directory.EnumerateFiles(output, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
                print.AppendLine(Path.GetRelativePath(_folder, file));
        }
        catch (Exception fault)
        {
            print.AppendLine(fault.GetType().Name + ": " + fault.Message);
        }
        if (Directory.Exists(output) && output != _names["adapter"]) Directory.Delete(output, recursive: true);
        return print.ToString();
    }

    private void Begin() => TrainingRun.Run(Options($"--output-dir={_names["begun"]} --save-steps=1", ""), [], CancellationToken.None);

    private TrainingOptions Options(string words, string output)
    {
        var start = new TrainingOptions
        {
            Model = "tiny", ModelDirectory = ReferenceData.Embedded, Data = new DataOptions { Train = [new DataSource(_names["data"])], MaxSeqLength = 128 },
            OutputDirectory = output,
            MaxSteps = 4, BatchSize = 2, GradientAccumulationSteps = 1, Quantize = QuantizeKind.None, Compute = ComputeKind.Float32, Threads = 1,
            WarmupSteps = 1, LoggingSteps = 2, SaveSteps = 0, AllowHighLoss = true,
        };
        var given = words.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(word => word[2..].Split('=', 2)).GroupBy(pair => pair[0].Replace('-', '_'))
            .ToDictionary(pair => pair.Key, pair => new SettingValue("--" + pair.Key, [new SettingItem(pair.Last()[1])]));
        var values = new SettingValues(given);
        var options = OptionReader.Read(values, start, setting => [new DataSource(values.Text(setting)!)]);
        values.ThrowIfFaulty();
        return options;
    }

    private static string Chat(string question, string answer) =>
        JsonSerializer.Serialize(new { messages = new[] { new { role = "user", content = question }, new { role = "assistant", content = answer } } });

    private static string Pair(string question, string chosen, string rejected) => JsonSerializer.Serialize(new { prompt = question, chosen, rejected });

    private void Write(string name, string[] rows) => Keep(name, name + ".jsonl", string.Join('\n', rows) + "\n");

    private void Keep(string name, string file, string text)
    {
        _names[name] = Path.Combine(_folder, file);
        File.WriteAllText(_names[name], text);
    }

    /// <summary>Everything that is said, without times and what the machine happens to hold.</summary>
    private sealed class Watcher(StringBuilder print) : ITrainingObserver
    {
        public void On(TrainingEvent trainingEvent)
        {
            var line = trainingEvent switch
            {
                StepDone step => step with { TokensPerSecond = 0, MemoryBytes = 0, ElapsedSeconds = 0 },
                EvalDone eval => eval with { Seconds = 0 },
                Planned planned => (object)JsonSerializer.Serialize(planned.Plan with { Seconds = null, MicroStepSeconds = null, MemoryLimitBytes = 0,
                    DiskFreeBytes = null, Changes = [] }),
                Sampled or RunStarted or Noted { IsWarning: true } => trainingEvent,
                _ => "",
            };
            print.AppendLine(CultureInfo.InvariantCulture, $"{line}{(trainingEvent is EvalDone { Metrics: var metrics } ? string.Join(' ', metrics) : "")}");
        }
    }
}
