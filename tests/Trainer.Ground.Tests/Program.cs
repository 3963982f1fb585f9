using System.Collections.Concurrent;
using System.Reflection;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace Trainer.Ground.Tests;

/// <summary>
/// Runs these tests without a test host: the published folder proves a machine that has no SDK, or one that is emulated (scripts/arm64.sh).
/// Words on the command line are parts of test names; without any, all tests of the default ring run.
/// </summary>
internal static class Program
{
    public static int Main(string[] words)
    {
        var sink = new Sink(words);
        using var framework = new XunitTestFramework(sink);
        var assembly = new AssemblyName(typeof(Program).Assembly.FullName!);
        var options = new Options();
        using var discoverer = framework.GetDiscoverer(Reflector.Wrap(typeof(Program).Assembly));
        discoverer.Find(false, sink, options);
        sink.Discovered.WaitOne();
        using var executor = framework.GetExecutor(assembly);
        executor.RunTests(sink.Cases, sink, options);
        sink.Finished.WaitOne();
        Console.WriteLine($"{sink.Passed} passed, {sink.Failed} failed, {sink.Skipped} skipped");
        return sink.Failed == 0 && sink.Passed > 0 ? 0 : 1;
    }

    private sealed class Sink(string[] words) : LongLivedMarshalByRefObject, IMessageSink
    {
        private int _passed, _failed, _skipped;

        public ManualResetEvent Discovered { get; } = new(false);

        public ManualResetEvent Finished { get; } = new(false);

        public ConcurrentQueue<ITestCase> Cases { get; } = [];

        public int Passed => _passed;

        public int Failed => _failed;

        public int Skipped => _skipped;

        public bool OnMessage(IMessageSinkMessage message)
        {
            switch (message)
            {
                case ITestCaseDiscoveryMessage found when IsWanted(found.TestCase): Cases.Enqueue(found.TestCase); break;
                case IDiscoveryCompleteMessage: Discovered.Set(); break;
                case ITestPassed: Interlocked.Increment(ref _passed); break;
                case ITestSkipped skipped:
                    Interlocked.Increment(ref _skipped);
                    Console.WriteLine($"skipped {skipped.Test.DisplayName}: {skipped.Reason}");
                    break;
                case ITestFailed failed:
                    Interlocked.Increment(ref _failed);
                    Console.WriteLine($"FAILED {failed.Test.DisplayName}: {string.Join(Environment.NewLine, failed.Messages)}{Environment.NewLine}"
                        + $"{string.Join(Environment.NewLine, failed.StackTraces)}");
                    break;
                case ITestAssemblyFinished: Finished.Set(); break;
            }
            return true;
        }

        private bool IsWanted(ITestCase test) =>
            !(test.Traits.TryGetValue("ring", out var rings) && rings.Contains("slow"))
            && (words.Length == 0 || words.Any(word => test.DisplayName.Contains(word, StringComparison.Ordinal)));
    }

    /// <summary>xunit's own defaults.</summary>
    private sealed class Options : ITestFrameworkDiscoveryOptions, ITestFrameworkExecutionOptions
    {
        private readonly Dictionary<string, object?> _values = [];

        public TValue GetValue<TValue>(string name) => _values.TryGetValue(name, out var value) ? (TValue)value! : default!;

        public void SetValue<TValue>(string name, TValue value) => _values[name] = value;
    }
}
