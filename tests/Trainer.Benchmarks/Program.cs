using Trainer.Benchmarks;

return args switch
{
    ["step", .. var rest] => StepCommand.Run(rest),
    ["make", var shape, var folder] => StepCommand.Make(shape, folder),
    ["kernels"] => KernelCommand.Run(),
    ["attention"] => AttentionCommand.Run(),
    _ => StepCommand.Usage(),
};
