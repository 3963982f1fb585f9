using System.Diagnostics;
using System.Text.Json;
using Trainer.Adapters;
using Trainer.Adapters.Merge;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Machine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Data;
using Trainer.Engine;
using Trainer.Engine.Native;
using Trainer.Models;
using Trainer.Training;
using Trainer.Training.Options;
using Trainer.Training.Proof;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer selftest</c>: the whole way on the embedded model, offline, in under a minute.</summary>
internal static class SelftestCommand
{
    // The merged model is stored in the base's 16-bit type; float32 sums of the same numbers differ by far less.
    private const double LargestDrift = 0.25;

    public static readonly CommandSpec Spec = new("selftest", "Prove on the embedded model that training, resuming, saving and merging work here.", Run)
    {
        Group = "Machine",
        Description = "Offline and in under a minute: the loss falls, a stopped and resumed run gives the same bytes, the adapter on disk is the one in "
            + "memory, the merged model says what base and adapter say. With --device, what that device computes is compared with the processor, and the "
            + "outcome kept for its later uses. Exit code 70 if something does not hold.",
        Settings = [ModelSettings.Device, CommonSettings.Libtorch, CommonSettings.Json],
        Examples = [("trainer selftest", "")],
    };

    private sealed record Outcome(string Name, bool Passed, string Text, double Seconds);

    private static int Run(Invocation invocation)
    {
        var device = ModelSettings.DeviceOf(invocation.Values) ?? "auto";
        invocation.Values.ThrowIfFaulty();
        ComputeDevice.Require(device);
        if (NativeLibraries.Fault() is { } fault) throw new CommandFailedException(ExitCode.Missing, fault);
        var model = ModelReference.Find("tiny").ThrowIfAbsent();
        invocation.Stop.Watch("");
        var folder = Directory.CreateTempSubdirectory("trainer-selftest-").FullName;
        var outcomes = new List<Outcome>();
        try
        {
            var tests = new List<(string, Func<string>)>();
            if (device is not ("auto" or "cpu"))
                tests.Add(("device", () => Agree(model, device, invocation)));
            tests.AddRange([("train", () => Train(model, folder, invocation)), ("resume", () => Resume(model, folder, invocation)),
                ("adapter", () => Adapter(model, folder)), ("merge", () => Merge(model, folder))]);
            foreach (var (name, test) in tests)
            {
                var outcome = Try(name, test);
                outcomes.Add(outcome);
                if (!invocation.Json)
                    invocation.Terminal.Out.WriteLine($"{(outcome.Passed ? "ok  " : "FAIL")} {outcome.Name,-8} {outcome.Text} ("
                        + $"{Quantities.Duration(outcome.Seconds)})");
                invocation.Terminal.Out.Flush();
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
        var passed = outcomes.TrueForAll(outcome => outcome.Passed);
        if (invocation.Json) invocation.Terminal.Out.WriteLine(JsonSerializer.Serialize(new { ok = passed, tests = outcomes }, Json.Indented));
        return passed ? ExitCode.Done : ExitCode.OurFault;
    }

    private static Outcome Try(string name, Func<string> test)
    {
        var began = Stopwatch.GetTimestamp();
        try
        {
            return new Outcome(name, true, test(), Stopwatch.GetElapsedTime(began).TotalSeconds);
        }
        catch (Exception fault) when (fault is not (OperationCanceledException or OutOfMemoryException))
        {
            return new Outcome(name, false, fault.Message.ReplaceLineEndings(" "), Stopwatch.GetElapsedTime(began).TotalSeconds);
        }
    }

    private static string Agree(string model, string device, Invocation invocation)
    {
        var outcome = ProvenDevices.Again(SmallRun.Of(model, "", 10), device, invocation.Stop.Token);
        Require(outcome.Holds, $"{ComputeDevice.Description(device)}: differs from the processor: {outcome.Table}");
        return $"{ComputeDevice.Description(device)}: agrees with the processor: {outcome.Table}{(outcome.OffNote is { } off ? "; " + off : "")}";
    }

    private static string Train(string model, string folder, Invocation invocation)
    {
        var history = new RunHistory();
        TrainingRun.Run(SmallRun.Of(model, Path.Combine(folder, "train"), 30) with { SaveSteps = 0 }, [history], invocation.Stop.Token);
        var (first, last) = (history.Evals[0].EvalLoss, history.Evals[^1].EvalLoss);
        Require(last < 0.9 * first, $"the held-out loss went from {first:0.000} to {last:0.000} only");
        return $"held-out loss {first:0.000} -> {last:0.000} in 30 steps";
    }

    private static string Resume(string model, string folder, Invocation invocation)
    {
        var whole = TrainingRun.Run(SmallRun.Of(model, Path.Combine(folder, "whole"), 8), [], invocation.Stop.Token);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(invocation.Stop.Token);
        var broken = SmallRun.Of(model, Path.Combine(folder, "broken"), 8);
        try
        {
            TrainingRun.Run(broken, [new StopAt(4, stop)], stop.Token);
        }
        catch (RunInterruptedException)
        {
            invocation.Stop.Token.ThrowIfCancellationRequested();
        }
        var resumed = TrainingRun.Run(broken with { Resume = "auto" }, [], invocation.Stop.Token);
        Require(resumed.AdapterSha256 == whole.AdapterSha256,
            $"a run stopped at step 4 and resumed gives {resumed.AdapterSha256}, an unbroken one {whole.AdapterSha256}");
        return "a run stopped at step 4 and resumed gives the same bytes as an unbroken one";
    }

    private static string Adapter(string model, string folder)
    {
        using var loaded = CausalModel.Load(model);
        PeftFolder.Load(loaded, Path.Combine(folder, "train"), dropout: 0);
        var difference = PeftFolder.FirstDifference(Path.Combine(folder, "train"), loaded);
        Require(difference is null, $"the adapter read back differs: {difference}");
        return "the PEFT folder read back is the same in every value";
    }

    private static string Merge(string model, string folder)
    {
        var (adapter, merged) = (Path.Combine(folder, "train"), Path.Combine(folder, "merged"));
        ModelMerger.Merge(model, adapter, merged, new MergeOptions { OntoQuantized = true });
        var drift = MergeDrift.Measure(model, adapter, merged, new ModelLoadOptions { Quantize = QuantizeKind.Nf4 },
            TokenBatch.OfTokens([.. Enumerable.Range(1, 48)]));
        Require(drift.Largest < LargestDrift, $"the merged model's logits differ by {drift.Largest:0.000}");
        return $"the merged model's logits differ by {drift.Largest:0.0e+0} at most";
    }

    private static void Require(bool holds, string otherwise)
    {
        if (!holds) throw new InvalidOperationException(otherwise);
    }

    private sealed class StopAt(int step, CancellationTokenSource stop) : ITrainingObserver
    {
        public void On(TrainingEvent trainingEvent)
        {
            if (trainingEvent is StepDone done && done.Step == step) stop.Cancel();
        }
    }
}
