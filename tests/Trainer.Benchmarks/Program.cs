using Trainer.Benchmarks;

return args switch
{
    ["step", .. var rest] => StepCommand.Run(rest),
    ["make", var shape, var folder, .. var rest] => StepCommand.Make(shape, folder, rest),
    ["growth", .. var rest] => GrowthCommand.Run(rest),
    ["products", .. var rest] => ProductsCommand.Run(rest),
    ["kernels"] => KernelCommand.Run(),
    ["narrow", .. var rest] => NarrowCommand.Run(rest),
    ["objectives", .. var rest] => ObjectivesCommand.Run(rest),
    ["decode", var folder, .. var rest] => DecodeCommand.Run(folder, rest),
    ["ranks", .. var rest] => RanksCommand.Run(rest),
    ["attention", .. var rest] => AttentionCommand.Run(rest),
    _ => StepCommand.Usage(),
};
