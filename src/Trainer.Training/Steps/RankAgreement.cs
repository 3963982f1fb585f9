using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using Trainer.Distributed;
using Trainer.Engine;
using Trainer.Models;
using Trainer.Numerics.Machine;
using Trainer.Numerics.Spans;
using Trainer.Training.Optimizers;
using Trainer.Training.Plan;
using Trainer.Training.Records;
using Trainer.Training.State;

namespace Trainer.Training.Steps;

/// <summary>What ranks must have in common: the run they begin with, the state they begin at, and the values they hold as they go.</summary>
internal static class RankAgreement
{
    /// <summary>Options as all ranks take them: folder, compute type and threads are the run's, not the machine's.</summary>
    /// <exception cref="OptionException">The micro-batches of a step cannot be dealt out evenly.</exception>
    public static TrainingOptions Settle(ICollective ranks, TrainingOptions options, Events events)
    {
        if (RankThreads.TooMany(ranks, options.Threads) is { } tooMany) events.Warn(tooMany);
        if (ranks.Size == 1) return options;
        RankPlan.RequireEven(options, ranks.Size);
        if (options.Compute == ComputeKind.Auto)
        {
            // A race of kernels could end one way here and another way there, and the ranks would train different models.
            options = options with { Compute = ComputeKind.Float32 };
            events.Note("--dtype auto is float32 where several ranks train; name bfloat16 for all of them where it is faster");
        }
        var (threads, warning) = RankThreads.Of(ranks, options.Threads);
        if (warning is not null) events.Warn(warning);
        return options with { Threads = threads };
    }

    /// <summary>Compares what the ranks are about to train, before the first step.</summary>
    /// <exception cref="OptionException">Names the rank that differs, and in what.</exception>
    public static void RequireSameRun(ICollective ranks, TrainingOptions options, Fingerprint files, TrainingData data)
    {
        if (ranks.Size == 1) return;
        // What may differ from machine to machine without changing what is computed.
        var common = options with { Command = null, OutputDirectory = "", ModelDirectory = "", Model = "", Threads = null, MaxMemoryBytes = null,
            DeviceMemoryBytes = null, StreamMicroBatches = null, Resume = null, ReportTo = [] };
        Require("another version of trainer", BuildName.Value, isTold: true);
        Require("other options", JsonSerializer.Serialize(common, RunJson.Options), isTold: true);
        Require("another base model", Fingerprint.Combined(files.Base));
        Require("another tokenizer or chat template", Fingerprint.Combined(files.Tokenizer) + Fingerprint.Combined(files.Template));
        Require("another adapter to continue", Fingerprint.Combined(files.Adapter));
        Require("other data", Fingerprint.Combined(files.Data) + $" {data.Counts.Rows} {data.Counts.Tokens}");

        void Require(string difference, string mine, bool isTold = false)
        {
            if (ranks.FindDifference(mine) is not { } rank) return;
            var texts = isTold ? ranks.Collect(mine) : [];
            var told = isTold ? $" ({FirstDifference(texts[0], texts[rank])})" : "";
            throw new OptionException($"rank {rank} of {ranks.Size} has {difference} than rank 0{told}: every rank must get the same command and see the same "
                + "files");
        }
    }

    /// <summary>Refuses ranks of which one streams its base and another does not: the memory that each was given says so.</summary>
    /// <exception cref="OptionException">Names the rank that differs.</exception>
    public static void RequireSameStreaming(ICollective ranks, RunPlan plan)
    {
        if (ranks.FindDifference(plan.Stream ? "streamed" : "resident") is { } rank)
            throw new OptionException($"rank {rank} of {ranks.Size} "
                + $"{(ranks.Rank == rank == plan.Stream ? "would stream its base and rank 0 would not" : "would hold its base and rank 0 would stream it")}"
                + ": give all ranks the same --max-memory, or say --stream on or off");
    }

    /// <summary>The ranks of this machine that read the same files of a streamed base; all of them decide by the same figures.</summary>
    public static StreamReaders Readers(ICollective ranks)
    {
        if (ranks.Size == 1) return StreamReaders.Alone;
        Span<byte> mine = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(mine, MachineLimits.AvailableBytes);
        var all = new byte[ranks.Size * mine.Length];
        ranks.Gather(mine, all);
        return new StreamReaders(ranks.LocalSize, all.Chunk(sizeof(long)).Min(each => BinaryPrimitives.ReadInt64LittleEndian(each)));
    }

    /// <summary>The line in which two texts differ, such as <c>max_steps 5 instead of 6</c>.</summary>
    internal static string FirstDifference(string expected, string actual)
    {
        var (before, after) = (expected.Split('\n'), actual.Split('\n'));
        var at = Enumerable.Range(0, Math.Min(before.Length, after.Length)).FirstOrDefault(line => before[line] != after[line]);
        return $"{after[at].Trim().TrimEnd(',')} instead of {before[at].Trim().TrimEnd(',')}";
    }

    /// <summary>What the ranks' memory came to: the message of the first rank that has too little, with its name; all ranks get the same.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="mine">This rank's message, or null.</param>
    public static string? MemoryFault(ICollective ranks, string? mine)
    {
        if (ranks.Size == 1) return mine;
        var all = ranks.Collect(mine is null ? "" : $"rank {ranks.Rank} of {ranks.Size} on {Environment.MachineName}: {mine}");
        return all.FirstOrDefault(text => text.Length > 0);
    }

    /// <summary>Gives every rank the state, the values and the optimizer's state of rank 0, which alone reads a checkpoint.</summary>
    public static RunState Share(ICollective ranks, RunState state, IParameterStore parameters, IOptimizer optimizer)
    {
        if (ranks.Size == 1) return state;
        var shared = ranks.Share(JsonSerializer.Serialize(state, RunJson.Options));
        using var values = parameters.HostValues().ToLongArray();
        foreach (var (begin, count) in LongBlocks.Of(values.Length)) ranks.Broadcast(MemoryMarshal.AsBytes(values.All.Span(begin, count)));
        parameters.Write(0, values.All);
        foreach (var tensor in optimizer.State)
            foreach (var (begin, count) in LongBlocks.Of(tensor.ByteCount)) ranks.Broadcast(tensor.Part(begin, count));
        if (ranks.Rank == 0) return state;
        using var document = JsonDocument.Parse(shared);
        return RunState.FromJson(document.RootElement);
    }

    /// <summary>Compares the values of all ranks bit by bit.</summary>
    /// <exception cref="CollectiveException">Names a rank that holds others.</exception>
    public static void RequireSameValues(ICollective ranks, IParameterStore parameters, int step)
    {
        foreach (var (begin, count) in LongBlocks.Of(parameters.Length))
        {
            if (ranks.FindDifference(MemoryMarshal.AsBytes(parameters.HostValues().Span(begin, count))) is not { } rank) continue;
            throw new CollectiveException($"after step {step} rank {rank} holds other values than rank 0: its machine computes differently (another "
                + "processor, or damaged memory); leave it out and continue with --resume");
        }
    }
}
