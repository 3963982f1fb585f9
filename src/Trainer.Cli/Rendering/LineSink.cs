using System.Globalization;
using Serilog.Core;
using Serilog.Events;

namespace Trainer.Cli.Rendering;

/// <summary>One log event, one plain line.</summary>
internal sealed class LineSink(TextWriter writer) : ILogEventSink
{
    public void Emit(LogEvent logEvent)
    {
        var prefix = logEvent.Level switch { LogEventLevel.Warning => "warning: ", LogEventLevel.Error or LogEventLevel.Fatal => "error: ", _ => "" };
        writer.WriteLine(prefix + logEvent.RenderMessage(CultureInfo.InvariantCulture));
    }
}
