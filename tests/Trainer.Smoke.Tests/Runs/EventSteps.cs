using System.Buffers.Binary;
using System.Text;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>What a TensorBoard file says of steps: where it makes the reader begin again, and which have a loss.</summary>
/// <param name="RestartedAt">Step of the session's start, or null.</param>
/// <param name="Losses">Steps with train/loss.</param>
internal sealed record EventSteps(long? RestartedAt, IReadOnlyList<long> Losses)
{
    public static EventSteps Read(string path)
    {
        var bytes = File.ReadAllBytes(path).AsSpan();
        long? restarted = null;
        var losses = new List<long>();
        // A record: length, its checksum, the event, its checksum.
        while (bytes.Length > 0)
        {
            var length = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
            var (step, isRestart, summary) = Event(bytes.Slice(12, length));
            if (isRestart) restarted = step;
            if (Encoding.UTF8.GetString(summary).Contains("train/loss", StringComparison.Ordinal)) losses.Add(step);
            bytes = bytes[(length + 16)..];
        }
        return new EventSteps(restarted, losses);
    }

    // Fields of an event: 1 time (8 bytes), 2 step, 3 version, 5 summary, 7 session log.
    private static (long Step, bool IsRestart, byte[] Summary) Event(ReadOnlySpan<byte> message)
    {
        var (step, isRestart, summary) = (0L, false, Array.Empty<byte>());
        while (message.Length > 0)
        {
            var key = Number(ref message);
            switch (key & 7)
            {
                case 0:
                    var value = Number(ref message);
                    if (key >> 3 == 2) step = value;
                    break;
                case 1:
                    message = message[8..];
                    break;
                default:
                    var length = (int)Number(ref message);
                    if (key >> 3 == 7) isRestart = true;
                    if (key >> 3 == 5) summary = message[..length].ToArray();
                    message = message[length..];
                    break;
            }
        }
        return (step, isRestart, summary);
    }

    private static long Number(ref ReadOnlySpan<byte> message)
    {
        long number = 0;
        for (var shift = 0; ; shift += 7)
        {
            var next = message[0];
            message = message[1..];
            number |= (long)(next & 127) << shift;
            if (next < 128) return number;
        }
    }
}
