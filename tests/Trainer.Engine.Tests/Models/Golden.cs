using System.Runtime.InteropServices;
using System.Text.Json;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Engine.Tests.Models;

/// <summary>The golden numbers of tests/fixtures/models (Hugging Face transformers and PEFT; see the README there).</summary>
internal static class Golden
{
    // Gates of an fp32 port, from the spread between the reference's own backends (eager and sdpa, OpenBLAS and MKL).
    public const double LogitGate = 5e-5;
    public const double LossGate = 1e-5;
    public const double GradientGate = 1e-4;
    public const double TrajectoryGate = 1e-4;

    public static string Root { get; } = FindRoot();

    /// <summary>tests/fixtures.</summary>
    public static string Fixtures => Path.GetDirectoryName(Root)!;

    public static string Folder(params string[] parts) => Path.Combine([Root, .. parts]);

    public static JsonElement Expected(string folder)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "expected.json")));
        return document.RootElement.Clone();
    }

    public static float[] Floats(SafetensorsFile file, string name) => MemoryMarshal.Cast<byte, float>(file.Bytes(file.Entry(name))).ToArray();

    public static int[] Ints(SafetensorsFile file, string name)
        => [.. MemoryMarshal.Cast<byte, long>(file.Bytes(file.Entry(name))).ToArray().Select(value => (int)value)];

    /// <summary>Rows of ids and labels; with <paramref name="trimmed"/> without their padding.</summary>
    public static TokenBatch Batch(SafetensorsFile file, bool trimmed, string ids = "input_ids", string labels = "labels", string mask = "attention_mask")
    {
        var shape = file.Entry(ids).Shape;
        var (rows, length) = ((int)shape[0], (int)shape[1]);
        var (allIds, allLabels, allMask) = (Ints(file, ids), Ints(file, labels), Ints(file, mask));
        var list = new List<(int[], int[])>();
        for (var r = 0; r < rows; r++)
        {
            var count = trimmed ? allMask.AsSpan(r * length, length).ToArray().Sum() : length;
            list.Add((allIds[(r * length)..(r * length + count)], allLabels[(r * length)..(r * length + count)]));
        }
        return TokenBatch.OfRows(list);
    }

    public static double LargestDifference(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        Assert.Equal(a.Length, b.Length);
        double largest = 0;
        for (var i = 0; i < a.Length; i++)
        {
            var difference = Math.Abs((double)a[i] - b[i]);
            if (!(difference <= largest)) largest = difference;
        }
        return largest;
    }

    private static string FindRoot()
    {
        for (var at = new DirectoryInfo(AppContext.BaseDirectory); at is not null; at = at.Parent)
            if (File.Exists(Path.Combine(at.FullName, "Trainer.sln"))) return Path.Combine(at.FullName, "tests", "fixtures", "models");
        throw new InvalidOperationException("not inside the repository");
    }
}
