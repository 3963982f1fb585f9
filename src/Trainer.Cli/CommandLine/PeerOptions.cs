namespace Trainer.Cli.CommandLine;

/// <summary>Options of transformers, TRL, axolotl, LLaMA-Factory and mlx-lm that have no counterpart by another name, each with what to do instead.</summary>
internal static class PeerOptions
{
    private const string Sent =
        "metrics.jsonl, TensorBoard files and report.html lie in the run folder; --report-to tensorboard, mlflow or none says who reads along";
    private const string Wandb = "--report-to tensorboard,html,wandb writes W&B's offline files for 'wandb sync'; WANDB_PROJECT, WANDB_ENTITY and "
        + "WANDB_NAME say whose they are";
    private const string Uploaded = "a run uploads nothing; the adapter lies in --output-dir, and 'trainer push RUN ORG/NAME' sends it";
    private const string Counted = "evaluations and checkpoints come by steps or epochs: --eval-steps N or --eval-strategy epoch, --save-steps N or "
        + "--save-strategy epoch";
    private const string Processes = "several processes are started by 'mpirun -np N trainer train ...' or srun; --threads N says how many cores each takes";
    private const string Objective = "an adapter is what train makes, and --objective says of what: sft, dpo, kto, orpo or simpo";
    private const string Template = "the model's own chat template is used; --chat-template FILE, or a name such as chatml or llama3, replaces it";
    private const string Rows = "--data NAME,subset=X,split=train[:10%] names the part that is trained on";
    private const string Columns = "columns are seen by their names; --data FILE,text=COLUMN maps others";

    private static readonly Dictionary<string, string> Answers = new()
    {
        ["fp16"] = "float16 overflows without loss scaling; --dtype float32 or bfloat16 is the choice here",
        ["mixed-precision"] = "--dtype float32 or bfloat16 says how it computes",
        ["bnb-4bit-compute-dtype"] = "--dtype says how it computes",
        ["per-device-eval-batch-size"] = "evaluations take --batch-size rows at a time, and their loss does not depend on it",
        ["eval-batch-size"] = "evaluations take --batch-size rows at a time, and their loss does not depend on it",
        ["val-batches"] = "all held-out rows are evaluated; --max-eval-samples N takes fewer",
        ["test"] = "'trainer eval --model MODEL --adapter DIR --data FILE' tells the loss on any data",
        ["test-batches"] = "'trainer eval --model MODEL --adapter DIR --data FILE' tells the loss on any data",
        ["do-eval"] = "held-out rows are evaluated whenever there are any: --eval-data FILE or --eval-split X",
        ["do-predict"] = "'trainer generate' and --sample-prompts FILE show what the model says",
        ["predict-with-generate"] = "'trainer generate' and --sample-prompts FILE show what the model says",
        ["logging-strategy"] = Counted, ["evals-per-epoch"] = Counted, ["saves-per-epoch"] = Counted,
        ["greater-is-better"] = "--metric-for-best-model says which way is better",
        ["save-only-model"] = "a checkpoint always holds what --resume needs; the adapter stands alone in the run folder",
        ["template"] = Template, ["enable-thinking"] = Template,
        ["finetuning-type"] = Objective, ["fine-tune-type"] = Objective,
        ["push-to-hub"] = Uploaded, ["hub-model-id"] = Uploaded, ["hub-token"] = Uploaded, ["hub-strategy"] = Uploaded,
        ["wandb-project"] = Wandb, ["wandb-entity"] = Wandb, ["wandb-name"] = Wandb, ["use-wandb"] = Wandb, ["wandb"] = Wandb, ["swanlab-project"] = Sent,
        ["use-swanlab"] = Sent, ["project-name"] = Sent,
        ["run-name"] = "--output-dir names the run", ["logging-dir"] = "TensorBoard files lie in the run folder's runs/",
        ["deepspeed"] = Processes, ["fsdp"] = Processes, ["fsdp-config"] = Processes, ["num-processes"] = Processes, ["nproc-per-node"] = Processes,
        ["world-size"] = Processes, ["local-rank"] = Processes,
        ["eos-token"] = "the end of a turn is the chat template's; --chat-template FILE replaces it",
        ["precision"] = "--dtype float32 or bfloat16 says how it computes", ["gpus"] = Processes, ["devices"] = Processes,
        ["num-gpus"] = Processes, ["save-model"] = "the adapter is always saved, in --output-dir; 'trainer merge' makes a whole model of it",
        ["push-model"] = Uploaded, ["hub-private-repo"] = Uploaded,
        ["save-merged"] = "'trainer merge RUN --output DIR' makes a whole model of a run", ["dataset-split"] = Rows, ["dataset-train-percentage"] = Rows,
        ["dataset-train-split"] = Rows, ["dataset-test-split"] = "--eval-data NAME,split=test says what is held out", ["dataset-config"] = Rows,
        ["streaming"] = "rows are read one after the other in any case, and their tokens kept in a cache",
        ["dataset-dir"] = "--data takes the file or folder itself", ["dataset-text-field"] = Columns, ["columns"] = Columns,
        ["resume-adapter-file"] = "--adapter DIR continues from a PEFT folder, --resume a stopped run",
        ["torch-compile"] = "nothing is compiled; kernels are chosen by the processor", ["max-new-tokens"] = "it belongs to 'trainer generate'",
        ["num-beams"] = "it belongs to 'trainer generate'", ["prompt"] = "it belongs to 'trainer generate'", ["do-sample"] = "it belongs to 'trainer generate'",
    };

    /// <summary>What to do instead of an option train does not have, or null where it is nobody's.</summary>
    /// <param name="name">Option name, kebab-case, without dashes.</param>
    public static string? Answer(string name) => Answers.GetValueOrDefault(name);
}
