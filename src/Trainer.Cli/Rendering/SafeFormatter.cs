using System.Globalization;
using Serilog.Events;
using Serilog.Formatting;

namespace Trainer.Cli.Rendering;

/// <summary>Formats a log event so that whoever shows the file on a terminal sees letters alone.</summary>
internal sealed class SafeFormatter(ITextFormatter inner) : ITextFormatter
{
    public void Format(LogEvent logEvent, TextWriter output)
    {
        using var text = new StringWriter(CultureInfo.InvariantCulture);
        inner.Format(logEvent, text);
        output.Write(SafeText.Of(text.ToString().ReplaceLineEndings("\n")));
    }
}
