namespace Trainer.Cli;

/// <summary>What the process says to its caller when it ends.</summary>
internal static class ExitCode
{
    public const int Done = 0;
    public const int Usage = 2;
    public const int NonFinite = 3;
    public const int PlanRefused = 4;
    public const int BadData = 65;
    public const int Missing = 69;
    public const int OurFault = 70;
    public const int CannotWrite = 73;
    public const int OutOfMemory = 75;
    public const int Interrupted = 130;
    public const int Terminated = 143;
}
