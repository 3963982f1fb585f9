using System.Globalization;
using System.Text;

namespace Trainer.Cli.Rendering;

/// <summary>Where text goes and what the receiver can show: results to <see cref="Out"/>, everything else to <see cref="Error"/>. Neither lets a control
/// character of foreign text through.</summary>
internal sealed class Terminal
{
    private Terminal(SafeWriter output, SafeWriter error, bool isLive, bool outIsTerminal, bool hasColour, bool hasUnicode, int width)
    {
        Out = output;
        Error = error;
        IsLive = isLive;
        OutIsTerminal = outIsTerminal;
        HasColour = hasColour;
        HasUnicode = hasUnicode;
        Width = width;
    }

    /// <summary>Buffered; a failed write is the command's failure.</summary>
    public SafeWriter Out { get; }

    /// <summary>A failed write is ignored: a closed log pipe must not end a run of hours.</summary>
    public SafeWriter Error { get; }

    /// <summary>Whether the error stream can be redrawn in place.</summary>
    public bool IsLive { get; }

    public bool OutIsTerminal { get; }

    public bool HasColour { get; }

    /// <summary>Whether blocks, sparklines and dashes beyond ASCII can be shown.</summary>
    public bool HasUnicode { get; }

    public int Width { get; }

    /// <summary>Where exact text goes, as a model says it: a file gets every character, a terminal only those that do not control it.</summary>
    public TextWriter Exact => OutIsTerminal ? Out : Out.Raw;

    /// <summary>The width now; a terminal can be resized.</summary>
    public int CurrentWidth() => IsLive ? DetectWidth() : Width;

    /// <summary>Rows of the terminal now.</summary>
    public int CurrentHeight()
    {
        try
        {
            return IsLive && Console.WindowHeight > 1 ? Console.WindowHeight : 24;
        }
        catch (IOException)
        {
            return 24;
        }
    }

    public static Terminal Detect()
    {
        var ci = IsSet("CI");
        var dumb = Variable("TERM") is "dumb";
        var terminal = !Console.IsErrorRedirected && !ci && !dumb && Variable("TERM").Length > 0;
        var outIsTerminal = !Console.IsOutputRedirected && !ci && !dumb;
        var colour = !IsSet("NO_COLOR") && !dumb && !ci && (terminal || outIsTerminal);
        var locale = FirstSet("LC_ALL", "LC_CTYPE", "LANG");
        var unicode = locale.Contains("UTF-8", StringComparison.OrdinalIgnoreCase) || locale.Contains("utf8", StringComparison.OrdinalIgnoreCase);
        return new Terminal(Writer(Console.OpenStandardOutput, false), Writer(Console.OpenStandardError, true), terminal, outIsTerminal, colour, unicode,
            DetectWidth());
    }

    private static int DetectWidth()
    {
        if (int.TryParse(Variable("COLUMNS"), NumberStyles.None, CultureInfo.InvariantCulture, out var columns) && columns > 0) return columns;
        try
        {
            return Console.IsErrorRedirected && Console.IsOutputRedirected || Console.WindowWidth <= 0 ? 100 : Console.WindowWidth;
        }
        catch (IOException)
        {
            return 100;
        }
    }

    private static SafeWriter Writer(Func<Stream> open, bool forgiving)
    {
        Stream stream;
        try
        {
            stream = open();
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            // The caller closed the descriptor (`>&-`).
            stream = new ClosedStream(fault.Message);
        }
        return new SafeWriter(new StreamWriter(forgiving ? new ForgivingStream(stream) : stream, new UTF8Encoding(false)) { AutoFlush = forgiving });
    }

    private static string Variable(string name) => Environment.GetEnvironmentVariable(name) ?? "";

    private static bool IsSet(string name) => Variable(name) is not ("" or "0" or "false");

    private static string FirstSet(params string[] names) => names.Select(Variable).FirstOrDefault(value => value.Length > 0) ?? "";
}
