namespace Trainer.Cli.CommandLine;

/// <summary>What a setting's value looks like.</summary>
internal enum SettingKind
{
    Text,
    Integer,
    Number,
    Flag,
    Choice,
    List,
    Pairs,
    Sources,
    Bytes,
    Duration,
}
