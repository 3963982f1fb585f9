namespace Trainer.Smoke.Tests.Runs;

/// <summary>Files of gigabytes where some kilobytes belong: each is refused at a limit before it is read.</summary>
[Trait("ring", "slow")]
public sealed class LongFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("model/config.json", "eval --model model --data rows.jsonl")]
    [InlineData("model/generation_config.json", "eval --model model --data rows.jsonl")]
    [InlineData("model/tokenizer.json", "tokenize --model model hello")]
    [InlineData("model/tokenizer_config.json", "tokenize --model model hello")]
    [InlineData("model/chat_template.jinja", "eval --model model --data rows.jsonl")]
    [InlineData("t.jinja", "data show --model tiny --data rows.jsonl --chat-template t.jinja")]
    [InlineData("strings.jsonl", "tokenize --model tiny --input strings.jsonl")]
    [InlineData("prompts.txt", "train --model tiny --data rows.jsonl --sample-prompts prompts.txt --max-steps 1 --output-dir out")]
    [InlineData("run/metrics.jsonl", "report run")]
    [InlineData("run/metrics.jsonl", "inspect run")]
    [InlineData("run/run.json", "reproduce run/run.json")]
    [InlineData("adapter/adapter_config.json", "eval --model tiny --adapter adapter --data rows.jsonl")]
    [InlineData("adapter/adapter_config.json", "inspect adapter")]
    [InlineData("r.yaml", "train --config r.yaml")]
    public void It_is_refused_by_name(string file, string command)
    {
        TemporaryFolder.Copy(Path.Combine(Path.GetDirectoryName(TrainerProgram.FilePath)!, "configs", "tiny-model"), Path.Combine(_folder.Path, "model"));
        _folder.File("rows.jsonl", "{\"text\": \"The harbour is calm.\"}\n");
        _folder.File("run/metrics.jsonl", "{\"step\": 1, \"loss\": 1}\n");
        _folder.File("adapter/adapter_model.safetensors", "");
        _folder.File(file, "");
        using (var hole = File.OpenWrite(Path.Combine(_folder.Path, file))) hole.SetLength(3L << 30);
        var result = TrainerProgram.RunWarm(new ProgramRun(command.Split(' ')) { Directory = _folder.Path });
        Assert.Contains(result.ExitCode, new[] { 2, 65 });
        Assert.Contains(Path.GetFileName(file), result.Error, StringComparison.Ordinal);
        Assert.Matches("(no file of its kind has more|no template has more|has more than 16 Mi letters|are more than the|longer than 4 MiB)", result.Error);
    }
}
