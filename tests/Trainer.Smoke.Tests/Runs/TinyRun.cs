using System.Text.Json;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>One run of the embedded model on the embedded data with an empty PATH; the tests of this folder look at what it left.</summary>
public sealed class TinyRun : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public TinyRun()
    {
        var prompts = _folder.File("prompts.txt", "Where is the key?\n");
        var result = TrainerProgram.Run(new ProgramRun("train", "--model", "tiny", "--data", "demo", "--max-steps", "40", "--learning-rate", "2e-3",
            "--logging-steps", "1", "--eval-steps", "20", "--save-steps", "20",
            "--sample-prompts", prompts, "--output-dir", Folder, "--json") { Environment = new Dictionary<string, string> { ["PATH"] = "" } });
        Result = result.Json();
        Log = result.Error;
    }

    public string Folder => Path.Combine(_folder.Path, "run");

    public JsonElement Result { get; }

    public string Log { get; }

    public void Dispose() => _folder.Dispose();
}
