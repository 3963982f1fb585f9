using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using Trainer.Data;
using Trainer.Training.Options;
using Trainer.Training.Records;

namespace Trainer.Training.Rollouts;

/// <summary>
/// A user's program that says how good answers are. It is started once and kept: a line of JSON goes in for each answer, and a line comes back. Its faults
/// become one sentence; it is ended with the run.
/// </summary>
internal sealed class RewardProgram : IRewards
{
    // Long enough for what a program may say beside the number, short enough that one that says anything is noticed at once.
    private const int MostLetters = 1 << 16;
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100), Grace = TimeSpan.FromSeconds(1);

    private readonly string _command;
    private readonly TimeSpan _limit;
    private readonly Events _events;
    private readonly Process _process;
    private readonly ProgramLines _answers, _complaints;

    /// <param name="command">A line for the system's shell.</param>
    /// <param name="name">Its name in what is measured.</param>
    /// <param name="limit">How long it may take for an answer.</param>
    /// <param name="events">Hears what it writes to its standard error.</param>
    /// <exception cref="RewardException">It cannot be started.</exception>
    public RewardProgram(string command, string name, TimeSpan limit, Events events)
    {
        (_command, Name, _limit, _events) = (command, name, limit, events);
        var start = ShellCommand.Of(command);
        (start.RedirectStandardInput, start.RedirectStandardOutput, start.RedirectStandardError) = (true, true, true);
        start.StandardInputEncoding = start.StandardOutputEncoding = start.StandardErrorEncoding = new UTF8Encoding(false);
        try
        {
            _process = Process.Start(start)!;
        }
        catch (Exception fault) when (fault is Win32Exception or IOException)
        {
            throw Failed($"cannot be started: {fault.Message.TrimEnd('.')}");
        }
        (_answers, _complaints) = (new ProgramLines(_process.StandardOutput, MostLetters), new ProgramLines(_process.StandardError, MostLetters));
    }

    public string Name { get; }

    public double?[] Ask(IReadOnlyList<string> questions, IReadOnlyList<RowSource> rows, Action between)
    {
        if (_answers.TryTake(TimeSpan.Zero, out var surplus)) throw Bad($"answered more lines than it was asked, such as '{Short(surplus)}'");
        // Beside the reading: a program may answer before it has read everything, and would wait for us to read.
        var writing = Task.Run(() => Write(questions));
        var rewards = new double?[questions.Count];
        var waited = Stopwatch.StartNew();
        for (var i = 0; i < rewards.Length;)
        {
            if (_answers.TryTake(Look, out var line))
            {
                if (RewardAnswer.Read(line, out rewards[i]) is { } why) throw Bad($"{why} (answer {i + 1} of {rewards.Length}, {rows[i]})");
                i++;
                waited.Restart();
                continue;
            }
            // Whoever stops the run with Ctrl-C stops the program too: that is no fault of its own.
            between();
            if (_answers.TooLong) throw Bad($"wrote a line of more than {MostLetters} letters (answer {i + 1} of {rewards.Length}, {rows[i]})");
            if (_answers.IsOver) throw Ended(i, rewards.Length);
            if (waited.Elapsed > _limit)
                throw Failed($"gave no answer for {Quantities.Duration(_limit.TotalSeconds)} ({i} of {rewards.Length} answered, next {rows[i]}); it must write "
                    + "a line for each that it reads, before it reads the next (mawk: -W interactive and fflush()), or raise --reward-timeout");
        }
        writing.Wait();
        Tell();
        return rewards;
    }

    public void Dispose()
    {
        try
        {
            // The end of its input is the sign to end.
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It has ended already.
        }
        if (!_process.WaitForExit(Grace))
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit(Grace);
        }
        _process.Dispose();
    }

    private void Write(IReadOnlyList<string> questions)
    {
        try
        {
            foreach (var question in questions)
            {
                _process.StandardInput.Write(question);
                _process.StandardInput.Write('\n');
            }
            _process.StandardInput.Flush();
        }
        catch (Exception fault) when (fault is IOException or ObjectDisposedException)
        {
            // It reads no more: that it ends, or answers too few lines, is seen where answers are read.
        }
    }

    private void Tell()
    {
        for (var told = 0; told < 8 && _complaints.TryTake(TimeSpan.Zero, out var line); told++) _events.Note($"reward {Name}: {Short(line)}");
    }

    private RewardException Ended(int answered, int asked)
    {
        _process.WaitForExit(Grace);
        var last = "";
        while (_complaints.TryTake(Look, out var line))
            if (line.Length > 0) last = line;
        var code = _process.HasExited ? $"ended with exit code {_process.ExitCode}" : "closed its output";
        return Failed($"{code} after {answered} of {asked} answers{(last.Length > 0 ? $": {Short(last)}" : "")}; it must write a line for each that it reads, "
            + "until its input ends");
    }

    private RewardException Bad(string what) => new($"--reward-command '{_command}' {what}; it must write one number for each line that it reads", true);

    private RewardException Failed(string what) => new($"--reward-command '{_command}' {what}", false);

    private static string Short(string line) => line.Length <= 200 ? line : line[..200] + "...";
}
