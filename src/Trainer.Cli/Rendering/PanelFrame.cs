using Spectre.Console;

namespace Trainer.Cli.Rendering;

/// <summary>A border with a title around lines of text.</summary>
/// <remarks>Spectre draws it (it knows how wide a letter is) but not its live display, which loses its place when the terminal echoes <c>^C</c> and leaves
/// parts of the panel behind the text above it.</remarks>
internal static class PanelFrame
{
    /// <param name="lines">Each at most <paramref name="width"/> - 4 letters.</param>
    /// <param name="title">Stands in the upper border.</param>
    /// <param name="width">Columns in all.</param>
    /// <param name="unicode">Whether the border may be drawn beyond ASCII.</param>
    public static IReadOnlyList<string> Around(IReadOnlyList<string> lines, string title, int width, bool unicode)
    {
        using var text = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, Interactive = InteractionSupport.No,
            ColorSystem = ColorSystemSupport.NoColors, Out = new AnsiConsoleOutput(text) });
        (console.Profile.Width, console.Profile.Capabilities.Unicode) = (width, unicode);
        console.Write(new Panel(new Rows(lines.Select(line => new Text(line))))
        {
            // Of a path that does not fit, its end says more.
            Header = new PanelHeader($" {Markup.Escape(title.Length <= width - 6 ? title : title[(title.LastIndexOf('/') + 1)..])} "),
            Border = unicode ? BoxBorder.Rounded : BoxBorder.Ascii,
            Expand = true,
        });
        return text.ToString().TrimEnd('\n').Split('\n');
    }
}
