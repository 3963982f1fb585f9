using Trainer.Cli.CommandLine;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer man</c>: manual pages.</summary>
internal static class ManCommand
{
    private static readonly Setting All = new("all", SettingKind.Folder, "Output",
        "Write the pages of all commands into this folder, such as ~/.local/share/man/man1.") { Value = "DIR" };

    public static readonly CommandSpec Spec = new("man", "Print a manual page, or write all of them.", Run)
    {
        Group = "Machine",
        Positional = "[COMMAND]",
        PositionalHelp = "A command; without one, the program.",
        MaxPositionals = 2,
        Settings = [All],
        Examples = [("trainer man train > trainer-train.1", "then: man -l trainer-train.1")],
    };

    private static int Run(Invocation invocation)
    {
        var folder = invocation.Values.Text(All);
        invocation.Values.ThrowIfFaulty();
        if (folder is not null)
        {
            if (!Directory.Exists(folder)) throw new UsageException($"--all '{folder}': no such folder");
            foreach (var (path, spec) in Completion.Walk(AllCommands.Root))
                Checkpoints.Atomic.AtomicFile.WriteText(Path.Combine(folder, (path.Length == 0 ? "trainer" : "trainer-" + path.Replace(' ', '-')) + ".1"),
                    ManPage.Write(spec, path));
            return ExitCode.Done;
        }
        var wanted = string.Join(' ', invocation.Positionals);
        var found = Completion.Walk(AllCommands.Root).Where(pair => pair.Path == wanted).Select(pair => pair.Spec).FirstOrDefault()
            ?? throw new UsageException($"there is no command '{wanted}'{Instead(wanted)}");
        invocation.Terminal.Out.Write(ManPage.Write(found, wanted));
        return ExitCode.Done;
    }

    private static string Instead(string wanted) => DidYouMean.Nearest(wanted, [.. Completion.Walk(AllCommands.Root).Select(pair => pair.Path)]) is { } near
        ? $"; did you mean '{near}'?"
        : "; 'trainer --help' lists them";
}
