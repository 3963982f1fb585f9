using Trainer.Cli.CommandLine;

namespace Trainer.Cli.Commands;

/// <summary>The list of commands, in the order help shows them.</summary>
internal static class AllCommands
{
    public static readonly CommandSpec Root = new("trainer", "LoRA and QLoRA fine-tuning of language models.", _ => ExitCode.Usage)
    {
        Description = "LoRA and QLoRA fine-tuning of language models on one machine: no Python, no network in the training path.",
        Examples = [("trainer train --model tiny --data demo --max-steps 200", "see it work in a minute")],
        Subcommands =
        [
            TrainCommand.Spec,
            PlanCommand.Spec,
            ResumeCommand.Spec,
            EvalCommand.Spec,
            GenerateCommand.Spec,
            ChatCommand.Spec,
            ServeCommand.Spec,
            ReplayCommand.Spec,
            ReproduceCommand.Spec,
            DataCommand.Spec,
            TokenizeCommand.Spec,
            RunsCommand.Spec,
            ReportCommand.Spec,
            InitCommand.Spec,
            RecipesCommand.Spec,
            SchemaCommand.Spec,
            ImportCommand.Spec,
            DownloadCommand.Spec,
            PushCommand.Spec,
            InspectCommand.Spec,
            MergeCommand.Spec,
            ExportCommand.Spec,
            QuantizeCommand.Spec,
            DoctorCommand.Spec,
            SelftestCommand.Spec,
            BenchCommand.Spec,
            CompletionCommand.Spec,
            ManCommand.Spec,
        ],
    };
}
