using Trainer.Cli;
using Trainer.Cli.Machine;

return ProcessLimits.Refusal() ?? Application.Run(args);
