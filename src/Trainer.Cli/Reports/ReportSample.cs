namespace Trainer.Cli.Reports;

/// <summary>What the model said to a prompt at a step.</summary>
internal sealed record ReportSample(int Step, string Prompt, string Text);
