using Trainer.Adapters;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Runs;
using Trainer.Data;
using Trainer.Training.Records;
using Trainer.Training.State;

namespace Trainer.Training.Steps;

/// <summary>Writes the finished adapter into the run folder, reads it back and compares what it says with what was trained.</summary>
internal static class FinalAdapter
{
    public const int ProofTokens = 256;
    public const int ProofLogits = 1 << 20;

    /// <summary>Writes, proves, and gives the SHA-256 of the weights' file.</summary>
    public static string Write(TrainingOptions options, RunState state, int taken, IAdaptedModel model, ITrainingData data, Events events)
    {
        var directory = options.OutputDirectory;
        events.Emit(new PhaseProgressed("saving the adapter", 0, 2));
        var staging = Path.Combine(directory, ".final");
        AtomicFolder.Write(staging, model.WriteAdapter);
        foreach (var file in Directory.GetFiles(staging).Order(StringComparer.Ordinal))
            AtomicFile.Write(Path.Combine(directory, Path.GetFileName(file)), temporary => File.Copy(file, temporary, overwrite: true));
        AtomicFolder.Delete(staging);
        CopyTexts(options, directory);
        AtomicFile.WriteText(Path.Combine(directory, "README.md"), ModelCard.Text(options, state, taken));
        events.Emit(new PhaseProgressed("saving the adapter", 1, 2));
        Prove(directory, model, ProofBatch(data, Math.Clamp(ProofLogits / model.VocabularySize, 16, ProofTokens)), events);
        events.Emit(new PhaseProgressed("saving the adapter", 2, 2));
        events.Emit(new Saved(state.Step, directory, IsFinal: true));
        return FileDigest.Sha256(Path.Combine(directory, PeftFolder.WeightsFile));
    }

    private static void Prove(string directory, IAdaptedModel model, MicroBatch batch, Events events)
    {
        var inMemory = model.Logits(batch);
        var onDisk = model.LogitsFromDisk(directory, batch);
        for (var i = 0; i < inMemory.Length; i++)
        {
            if (BitConverter.SingleToInt32Bits(inMemory[i]) == BitConverter.SingleToInt32Bits(onDisk[i])) continue;
            throw new CannotWriteException($"the adapter read back from '{directory}' is not the one in memory: "
                + $"logit {i % model.VocabularySize} of token {i / model.VocabularySize} is {onDisk[i]} instead of {inMemory[i]}; the newest checkpoint is "
                + "whole, resume from it");
        }
        if (model.ChangesNothing(batch, onDisk))
            throw new CannotWriteException($"the adapter in '{directory}' changes no logit although its B is not 0: readers would load it and compute the "
                + "base; the newest checkpoint is whole");
        events.Note($"the adapter was read back into a fresh graph: all {inMemory.Length} logits of {batch.TokenIds.Length} tokens are the same bits");
        foreach (var verdict in model.ReaderVerdicts(directory)) events.Note(verdict);
    }

    /// <summary>The first rows of the data, cut to a size that any run can hold.</summary>
    private static MicroBatch ProofBatch(ITrainingData data, int tokens)
    {
        var batch = data.EvalBatches.Count > 0 ? data.EvalBatches[0] : data.Step(0)[0];
        var length = Math.Min(tokens, batch.SegmentStarts[1]);
        var targets = new int[length];
        Array.Fill(targets, Example.IgnoredLabel);
        return new MicroBatch(batch.TokenIds[..length], targets, batch.Positions[..length], [0, length], [1f], [batch.Rows[0]]);
    }

    /// <summary>Leaves tokenizer and chat template in the run folder.</summary>
    public static void CopyTexts(TrainingOptions options, string directory)
    {
        var text = options.FindText();
        Copy(Fingerprint.TokenizerFiles(text.Tokenizer), text.Tokenizer, directory);
        // A template that the user named stands for all of the model's own.
        if (options.Data.ChatTemplateFile is null) Copy(Fingerprint.TemplateFiles(text.Template), text.Template, directory);
        if (options.Data.ChatTemplateFile is { } template)
            AtomicFile.Write(Path.Combine(directory, "chat_template.jinja"), temporary => File.Copy(template, temporary, overwrite: true));
    }

    private static void Copy(IEnumerable<string> files, string source, string directory)
    {
        foreach (var file in files)
        {
            var target = Path.Combine(directory, Path.GetRelativePath(source, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            AtomicFile.Write(target, temporary => File.Copy(file, temporary, overwrite: true));
        }
    }
}
