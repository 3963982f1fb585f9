using System.Globalization;
using Trainer.Engine;
using Trainer.Engine.Fast;
using Trainer.Engine.Fast.Bench;

namespace Trainer.Benchmarks;

/// <summary>Operations that a preference step executes beside a supervised step on the same tokens: counted by the engine, so that no clock is asked.</summary>
internal static class ObjectivesCommand
{
    public static int Run(string[] args)
    {
        int Number(string name, int otherwise) => Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length
            ? int.Parse(args[at + 1], CultureInfo.InvariantCulture) : otherwise;
        var shape = ModelShape.Find(Array.IndexOf(args, "--shape") is >= 0 and var named ? args[named + 1] : "134m")
            ?? throw new ArgumentException("no such shape");
        var folder = Directory.CreateTempSubdirectory("trainer-objectives-");
        try
        {
            RandomModelFolder.Write(folder.FullName, shape, 1, null);
            foreach (var recompute in new[] { false, true })
                Compare(folder.FullName, recompute, Number("--pairs", 2), Number("--seq", 128), Number("--rank", 16));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
        return 0;
    }

    private static void Compare(string folder, bool recompute, int pairs, int length, int rank)
    {
        using var model = CausalModel.Load(folder, new ModelLoadOptions { Engine = Trainer.Models.EngineKind.Fast, GradientCheckpointing = recompute });
        BenchAdapter.Attach(model, rank);
        var (plain, weighed) = (Batch(model.Config.VocabularySize, pairs, length, null), Batch(model.Config.VocabularySize, pairs, length,
            losses => [.. losses.Select(loss => loss > 0 ? 0.01f : 0)]));
        var supervised = Counted(model, () => model.ForwardBackward(plain, 1.0 / plain.TrainedTokens, null));
        // What SequenceObjective does: one training pass, whose weights are found between its halves.
        var trained = Counted(model, () => model.ForwardBackward(weighed, 1, null));
        var reference = Counted(model, () =>
        {
            model.AdaptersEnabled = false;
            model.TokenLosses(plain);
            model.AdaptersEnabled = true;
        });
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"layers {(recompute ? "recomputed" : "kept")}: {pairs} pairs of 2 x {length} tokens, GFLOP: sft {supervised / 1e9:0.00}, trained pass of "
            + $"dpo {trained / 1e9:0.00}, reference {reference / 1e9:0.00}"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"  dpo, reference cached: {trained / supervised:0.000} of sft; asked in the step: {(trained + reference) / supervised:0.000}"));
    }

    private static double Counted(CausalModel model, Action pass)
    {
        var meter = ((FastEngine)model.Engine).Meter;
        meter.Clear();
        pass();
        return meter.AllOperations;
    }

    // A prompt of half the length, and an answer that carries the loss.
    private static TokenBatch Batch(int vocabulary, int pairs, int length, Func<float[], float[]>? weigh)
    {
        var random = new Random(1);
        var (tokens, positions, starts) = (new List<int>(), new List<int>(), new List<int> { 0 });
        var targets = new List<int>();
        for (var side = 0; side < 2 * pairs; side++)
        {
            int[] ids = [.. Enumerable.Range(0, length).Select(_ => random.Next(vocabulary))];
            tokens.AddRange(ids);
            positions.AddRange(Enumerable.Range(0, length));
            targets.AddRange(Enumerable.Range(0, length).Select(t => t + 1 < length && t >= length / 2 ? ids[t + 1] : TokenBatch.IgnoredTarget));
            starts.Add(tokens.Count);
        }
        return new TokenBatch([.. tokens], [.. targets], [.. positions], [.. starts], [.. Enumerable.Repeat(1f, 2 * pairs)]) { Weigh = weigh };
    }
}
