using System.Buffers.Binary;
using System.Text;
using System.Text.Json;

namespace Trainer.Smoke.Tests.Reports;

/// <summary>W&amp;B's offline files, read back by another reader of their format: LevelDB's log framing with zlib's checksum, Record messages within.</summary>
[Trait("ring", "smoke")]
public sealed class WandbTests : IDisposable
{
    // Longer than two of the file's blocks.
    private static readonly string LongTag = new('b', 70_000);

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private sealed record Field(int Number, long Integer, byte[] Bytes)
    {
        public string Text => Encoding.UTF8.GetString(Bytes);

        public List<Field> Message => Fields(Bytes);

        public IEnumerable<Field> All(int number) => Message.Where(field => field.Number == number);

        public Field One(int number) => All(number).Single();

        public Dictionary<string, JsonElement> Items
            => All(1).ToDictionary(item => item.One(1).Text, item => JsonDocument.Parse(item.One(16).Text).RootElement);
    }

    private static List<Field> Fields(byte[] bytes)
    {
        var (fields, at) = (new List<Field>(), 0);
        while (at < bytes.Length)
        {
            var key = Varint();
            if ((key & 7) == 0) fields.Add(new Field((int)(key >> 3), Varint(), []));
            else
            {
                Assert.Equal(2, key & 7);
                var length = (int)Varint();
                fields.Add(new Field((int)(key >> 3), 0, bytes[at..(at += length)]));
            }
        }
        return fields;

        long Varint()
        {
            long value = 0;
            for (var shift = 0; ; shift += 7)
            {
                var next = bytes[at++];
                value |= (long)(next & 0x7F) << shift;
                if (next < 0x80) return value;
            }
        }
    }

    private static List<Field> Records(string path)
    {
        var bytes = File.ReadAllBytes(path);
        Assert.Equal(":W&B", Encoding.ASCII.GetString(bytes, 0, 4));
        Assert.Equal([0xE1, 0xBE, 0], bytes[4..7]);
        var (records, at, whole) = (new List<Field>(), 7, new List<byte>());
        while (at < bytes.Length)
        {
            if (32768 - at % 32768 is < 7 and var rest)
            {
                Assert.All(bytes[at..(at + rest)], value => Assert.Equal(0, value));
                at += rest;
            }
            var (crc, length, kind) = (BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at)), BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(at + 4)),
                bytes[at + 6]);
            Assert.True(at % 32768 + 7 + length <= 32768, "a record crosses a block");
            Assert.Equal(crc, Crc(bytes.AsSpan(at + 6, 1 + length)));
            Assert.Equal(kind is 1 or 2, whole.Count == 0);
            whole.AddRange(bytes[(at + 7)..(at += 7 + length)]);
            if (kind is not (1 or 4)) continue;
            records.Add(new Field(0, 0, [.. whole]));
            whole.Clear();
        }
        Assert.Empty(whole);
        Assert.Equal(Enumerable.Range(1, records.Count).Select(number => (long)number), records.Select(record => record.One(1).Integer));
        return records;
    }

    // Bit by bit, as the polynomial is written.
    private static uint Crc(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        foreach (var value in data)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB88320 : 0);
        }
        return ~crc;
    }

    private ProgramResult Train(params string[] words) => TrainInto("run", words);

    private ProgramResult TrainInto(string output, params string[] words) => TrainerProgram.RunWarm(new ProgramRun(["train",
        "--model", "tiny", "--data", "rows.jsonl",
        "--eval-data", "held.jsonl", "--batch-size", "1", "--gradient-accumulation-steps", "1", "--max-seq-length", "32", "--threads", "1",
        "--logging-steps", "1", "--output-dir", output, "--report-to", "wandb", .. words])
    {
        Directory = _folder.Path,
        Environment = new Dictionary<string, string>
        {
            ["WANDB_PROJECT"] = "mine", ["WANDB_NAME"] = "first", ["WANDB_TAGS"] = "a, " + LongTag, ["WANDB_API_KEY"] = "secret-word",
        },
    });

    [Fact]
    public void A_run_and_its_continuation_are_one_run_in_files_that_wandb_reads()
    {
        _folder.File("rows.jsonl", "{\"text\": \"The harbour is calm.\"}\n{\"text\": \"The boat is red.\"}\n");
        _folder.File("held.jsonl", "{\"text\": \"The harbour is wide.\"}\n");
        var result = Train("--max-steps", "6");
        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Contains("wandb sync run/wandb/offline-run-*", result.Error, StringComparison.Ordinal);
        var folder = Assert.Single(Directory.GetDirectories(Path.Combine(_folder.Path, "run", "wandb"), "offline-run-*"));
        var path = Assert.Single(Directory.GetFiles(folder));
        var records = Records(path);
        var run = records[0].One(17);
        var id = run.One(1).Text;
        Assert.Matches("^[a-z0-9]{8}$", id);
        Assert.EndsWith($"-{id}{Path.DirectorySeparatorChar}run-{id}.wandb", path, StringComparison.Ordinal);
        Assert.Equal(("mine", "first"), (run.One(3).Text, run.One(8).Text));
        Assert.Equal(["a", LongTag], run.All(10).Select(tag => tag.Text));
        Assert.Equal(32, run.One(4).Items["max_seq_length"].GetInt32());
        Assert.Equal("tiny", run.One(4).Items["model"].GetString());

        var history = records.SelectMany(record => record.All(2)).ToList();
        var rows = File.ReadLines(Path.Combine(_folder.Path, "run", "metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.Equal(rows.Where(row => row.TryGetProperty("loss", out _))
            .Select(row => (row.GetProperty("step").GetInt64(), row.GetProperty("loss").GetDouble())),
            history.Where(row => row.Items.ContainsKey("train/loss")).Select(row => (row.One(2).One(1).Integer, row.Items["train/loss"].GetDouble())));
        // One row a step, those of an evaluation with their step's.
        Assert.Equal(Enumerable.Range(0, 7).Select(step => (long)step), history.Select(row => row.One(2).One(1).Integer));
        Assert.All(history, row => Assert.Equal(row.One(2).One(1).Integer, row.Items["_step"].GetInt64()));
        Assert.True(history[6].Items.ContainsKey("eval/loss"));
        Assert.True(records[^2].One(3).Items.ContainsKey("train/train_loss"));
        Assert.Equal(history[6].Items["train/loss"].GetDouble(), records[^2].One(3).Items["train/loss"].GetDouble());
        Assert.Equal(0, records[^1].One(18).One(1).Integer);
        Assert.DoesNotContain("secret-word", File.ReadAllText(path), StringComparison.Ordinal);

        Assert.Equal(0, Train("--max-steps", "8", "--resume").ExitCode);
        var both = Directory.GetFiles(Path.Combine(_folder.Path, "run", "wandb"), $"run-{id}.wandb", SearchOption.AllDirectories);
        var later = Records(both.Single(other => other != path));
        Assert.Equal((id, 6, 1), (later[0].One(17).One(1).Text, later[0].One(17).One(14).Integer, later[0].One(17).One(18).Integer));
        Assert.Equal([7L, 8], later.SelectMany(record => record.All(2)).Select(row => row.One(2).One(1).Integer));

        // In another folder it is the same run there too: its files come along.
        Assert.Equal(0, TrainInto("other", "--max-steps", "9", "--resume", "run").ExitCode);
        var brought = Directory.GetFiles(Path.Combine(_folder.Path, "other", "wandb"), $"run-{id}.wandb", SearchOption.AllDirectories);
        Assert.Equal(3, brought.Length);
        Assert.Equal((id, 8), Records(brought.Order(StringComparer.Ordinal).Last())[0].One(17) is var third ? (third.One(1).Text, third.One(14).Integer)
            : default);
        Assert.All(both, file => Assert.Contains(brought, copy => File.ReadAllBytes(copy).AsSpan().SequenceEqual(File.ReadAllBytes(file))));

        Assert.Equal(0, Train("--max-steps", "1", "--overwrite-output-dir").ExitCode);
        Assert.Single(Directory.GetDirectories(Path.Combine(_folder.Path, "run", "wandb")));
    }
}
