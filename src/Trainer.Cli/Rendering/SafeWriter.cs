using System.Buffers;
using System.Text;

namespace Trainer.Cli.Rendering;

/// <summary>A writer through which no control character but tab and line feed gets; see <see cref="SafeText"/>.</summary>
internal sealed class SafeWriter(TextWriter inner) : TextWriter
{
    /// <summary>Where the program's own colours and cursor movements go: text in between must be safe already.</summary>
    public TextWriter Raw => inner;

    public override Encoding Encoding => inner.Encoding;

    public override void Write(char value) => Write([value]);

    public override void Write(char[] buffer, int index, int count) => Write(buffer.AsSpan(index, count));

    public override void Write(string? value) => Write(value.AsSpan());

    public override void Write(ReadOnlySpan<char> buffer)
    {
        if (SafeText.IsSafe(buffer))
        {
            inner.Write(buffer);
            return;
        }
        var copy = ArrayPool<char>.Shared.Rent(buffer.Length);
        SafeText.Copy(buffer, copy.AsSpan(0, buffer.Length));
        inner.Write(copy, 0, buffer.Length);
        ArrayPool<char>.Shared.Return(copy);
    }

    public override void WriteLine() => inner.Write('\n');

    public override void WriteLine(string? value) => WriteLine(value.AsSpan());

    public override void WriteLine(ReadOnlySpan<char> buffer)
    {
        // One write a line: other processes may write to the same terminal.
        if (buffer.Length < 1 << 16) Write([.. buffer, '\n']);
        else
        {
            Write(buffer);
            inner.Write('\n');
        }
    }

    public override void Flush() => inner.Flush();

    protected override void Dispose(bool disposing)
    {
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }
}
