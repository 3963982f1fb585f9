namespace Trainer.Training.Options;

/// <summary>What a setting's value looks like.</summary>
public enum SettingKind
{
    /// <summary>Any text.</summary>
    Text,
    /// <summary>A file that exists.</summary>
    File,
    /// <summary>A folder that exists.</summary>
    Folder,
    /// <summary>A whole number.</summary>
    Integer,
    /// <summary>A number.</summary>
    Number,
    /// <summary>True or false; true without a value.</summary>
    Flag,
    /// <summary>One of a few words.</summary>
    Choice,
    /// <summary>Words, by commas or one by one.</summary>
    List,
    /// <summary>Names with a number each.</summary>
    Pairs,
    /// <summary>Data sources.</summary>
    Sources,
    /// <summary>An amount of memory, such as 12GiB.</summary>
    Bytes,
    /// <summary>A time, such as 90m.</summary>
    Duration,
}
