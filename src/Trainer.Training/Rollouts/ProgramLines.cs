using System.Text;

namespace Trainer.Training.Rollouts;

/// <summary>Lines that a program writes, read beside whatever else is done, so that it never waits for us. One that never ends is given up; of many that
/// nobody takes the program waits, as a pipe has it.</summary>
internal sealed class ProgramLines
{
    private const int MostWaiting = 1 << 16;

    private readonly Queue<string> _lines = [];
    private readonly int _mostLetters;
    private bool _isOver;

    /// <param name="reader">What the program writes.</param>
    /// <param name="mostLetters">Letters of the longest line.</param>
    public ProgramLines(TextReader reader, int mostLetters)
    {
        _mostLetters = mostLetters;
        new Thread(() => Read(reader)) { IsBackground = true, Name = "lines of a program" }.Start();
    }

    /// <summary>Whether a line was too long; nothing is read any more.</summary>
    public bool TooLong { get; private set; }

    /// <summary>Whether no line will come any more.</summary>
    public bool IsOver
    {
        get
        {
            lock (_lines) return _isOver && _lines.Count == 0;
        }
    }

    /// <summary>Takes the next line.</summary>
    /// <param name="wait">How long to wait for one.</param>
    /// <param name="line">The line, without its end.</param>
    public bool TryTake(TimeSpan wait, out string line)
    {
        lock (_lines)
        {
            if (_lines.Count == 0 && !_isOver && wait > TimeSpan.Zero) Monitor.Wait(_lines, wait);
            var isThere = _lines.TryDequeue(out var taken);
            line = taken ?? "";
            Monitor.PulseAll(_lines);
            return isThere;
        }
    }

    private void Read(TextReader reader)
    {
        try
        {
            var (line, part) = (new StringBuilder(), new char[4096]);
            for (int count; (count = reader.Read(part, 0, part.Length)) > 0;)
            {
                foreach (var letter in part.AsSpan(0, count))
                {
                    if (letter == '\n')
                    {
                        Add(line.ToString().TrimEnd('\r'));
                        line.Clear();
                    }
                    else if (line.Length < _mostLetters) line.Append(letter);
                    else
                    {
                        TooLong = true;
                        return;
                    }
                }
            }
            if (line.Length > 0) Add(line.ToString());
        }
        catch (Exception fault) when (fault is IOException or ObjectDisposedException)
        {
            // The program was ended.
        }
        finally
        {
            lock (_lines)
            {
                _isOver = true;
                Monitor.PulseAll(_lines);
            }
        }
    }

    private void Add(string line)
    {
        lock (_lines)
        {
            while (_lines.Count >= MostWaiting) Monitor.Wait(_lines);
            _lines.Enqueue(line);
            Monitor.PulseAll(_lines);
        }
    }
}
