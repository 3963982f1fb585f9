using Trainer.Training.Options;

namespace Trainer.Cli.CommandLine;

/// <summary>What the words on the command line meant.</summary>
/// <param name="Spec">The command.</param>
/// <param name="Path">Its full name, such as <c>data show</c>.</param>
/// <param name="Values">Settings by key.</param>
/// <param name="Positionals">Words that are no option.</param>
/// <param name="WantsHelp">Whether help was asked for.</param>
internal sealed record ParsedCommand(CommandSpec Spec, string Path, IReadOnlyDictionary<string, SettingValue> Values, IReadOnlyList<string> Positionals,
    bool WantsHelp);
