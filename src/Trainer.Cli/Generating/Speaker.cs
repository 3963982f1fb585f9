using System.Text.Json;
using Trainer.Adapters;
using Trainer.Checkpoints.Folders;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Rendering;
using Trainer.Data;
using Trainer.Engine;
using Trainer.Engine.Generation;
using Trainer.Engine.Native;
using Trainer.Numerics.Machine;
using Trainer.Tokenizers;
using Trainer.Training;
using Trainer.Training.Options;
using Trainer.Training.Proof;

namespace Trainer.Cli.Generating;

/// <summary>A loaded model with its tokenizer and chat template, ready to continue text.</summary>
internal sealed class Speaker : IDisposable
{
    private readonly TextGenerator _generator;
    private string? _adapter;

    private readonly TrainingOptions _options;
    private TextFolders? _folders;
    private ModelText _text = null!;

    private Speaker(CausalModel model, TrainingOptions options)
    {
        (Model, _options) = (model, options);
        _generator = new TextGenerator(model);
        ReadText(options.AdapterDirectory);
    }

    public CausalModel Model { get; }

    public bool HasAdapter => _adapter is not null;

    public HfTokenizer Tokenizer { get; private set; } = null!;

    /// <summary>Tokenizer and templates that prompts are written with.</summary>
    public ModelText Text => _text;

    /// <summary>Whether the model has a chat template.</summary>
    public bool HasTemplate => _text.TemplateSource is not null;

    public static Speaker Load(TrainingOptions options, ProgressLine bar)
    {
        ComputeThreads.Use(options.Threads);
        var loading = new ModelLoadOptions { Quantize = options.Quantize, DoubleQuantize = options.DoubleQuant, Compute = options.Compute }.On(options.Device);
        var model = CausalModel.Load(options.ModelDirectory, ProofRecords.Settle(loading, options.Device), (done, total) => bar.Show("loading", done, total));
        try
        {
            var speaker = new Speaker(model, options);
            if (options.AdapterDirectory is { } adapter) speaker.Adapt(adapter);
            bar.Finish();
            return speaker;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Puts an adapter on the model in place of the former one and switches it on. One that fails to load leaves nothing of itself: the former one is
    /// back.</summary>
    public void Adapt(string folder)
    {
        var former = _adapter;
        _adapter = null;
        try
        {
            PeftFolder.Load(Model, folder, dropout: 0);
            ReadText(folder);
            (_adapter, Model.AdaptersEnabled) = (folder, true);
        }
        catch
        {
            // What is attached by now may be half filled.
            Model.AdaptersEnabled = false;
            if (former is not null) Adapt(former);
            throw;
        }
    }

    // An adapter answers in the form it was trained in: its folder's tokenizer and template go before the base's.
    private void ReadText(string? adapter)
    {
        var folders = TextFolders.Of(Model.Folder, adapter);
        if (folders == _folders) return;
        (_folders, _text) = (folders, ModelText.Load(
            folders.Tokenizer, _options.Data.ChatTemplateFile, variables: _options.Data.TemplateVariables,
            templateDirectory: folders.Template, modelDirectory: Model.Folder));
        Tokenizer = _text.Tokenizer ?? HfTokenizer.Load(folders.Tokenizer);
    }

    /// <summary>Ids of a text to continue as it is.</summary>
    public int[] Plain(string text)
    {
        var ids = Tokenizer.Encode(text, addSpecialTokens: true).Ids;
        if (ids.Length > 0) return ids;
        return Tokenizer.BosId is { } begin ? [begin]
            : throw new CommandFailedException(ExitCode.Usage, "the prompt has no token and the model has no beginning-of-text token; give --prompt TEXT");
    }

    /// <summary>Ids of a conversation, up to where the assistant's next turn begins.</summary>
    public int[] Conversation(IReadOnlyList<ChatMessage> messages) => _text.Prompt(JsonSerializer.SerializeToElement(messages, Json.Compact));

    /// <summary>Continues, giving text out as it becomes certain; nothing of a stop string is given out.</summary>
    public Continuation Continue(int[] prompt, SamplingOptions sampling, IReadOnlyList<string> stops, Action<string> say, CancellationToken stop)
    {
        var room = RoomFor(prompt, sampling);
        var spoken = new SpokenText(Tokenizer, prompt, room.MaxTokens, stops, say);
        foreach (var id in _generator.Generate(prompt, room, stop))
            if (!spoken.Add(id)) break;
        return spoken.End();
    }

    /// <summary>Continues several prompts at a time; each says what it would say alone.</summary>
    /// <param name="prompts">The prompts.</param>
    /// <param name="sampling">How tokens are chosen; every prompt has the draws of its seed.</param>
    /// <param name="stops">Texts that end an answer.</param>
    /// <param name="size">Answers at a time; null takes as many as memory holds, up to <see cref="SamplingSettings.AtOnce"/>.</param>
    /// <param name="ended">Told a prompt's index and answer as it ends.</param>
    /// <param name="stop">Ends all.</param>
    /// <exception cref="PlanRefusedException">So many answers at a time would exceed the memory.</exception>
    public void ContinueAll(IReadOnlyList<int[]> prompts, SamplingOptions sampling, IReadOnlyList<string> stops, int? size, Action<int, Continuation> ended,
        CancellationToken stop)
    {
        var rooms = prompts.Select(prompt => RoomFor(prompt, sampling)).ToList();
        var spoken = new SpokenText[prompts.Count];
        SamplingOptions Begin(int index)
        {
            spoken[index] = new SpokenText(Tokenizer, prompts[index], rooms[index].MaxTokens, stops, static _ => { });
            return rooms[index];
        }
        TextBatch.Continue(
            Model, prompts, Begin, AtOnce([.. prompts.Select((prompt, index) => (long)prompt.Length + rooms[index].MaxTokens)], size),
            (index, _) => ended(index, spoken[index].End()), (index, token) => spoken[index].Add(token), stop);
    }

    /// <summary>The sampling of a prompt: it ends where the positions end, and with what the template writes behind answers, which the base's files may not
    /// name.</summary>
    public SamplingOptions RoomFor(int[] prompt, SamplingOptions sampling)
    {
        if (prompt.Length == 0)
            throw new CommandFailedException(ExitCode.BadData,
                "the chat template makes no text of this conversation; check it with 'trainer data show', or pass another --chat-template");
        if (prompt.Length >= Model.Config.Positions)
            throw new CommandFailedException(ExitCode.BadData,
                $"the prompt has {prompt.Length} tokens and the model {Model.Config.Positions} positions; shorten it");
        return sampling with { StopIds = sampling.StopIds ?? _text.StopIds(Model.Config.EosIds),
            MaxTokens = Math.Min(sampling.MaxTokens, Model.Config.Positions - prompt.Length) };
    }

    // Where nothing is said fewer at a time do as well.
    private int AtOnce(IReadOnlyList<long> lengths, int? size)
    {
        var free = MachineLimits.AvailableBytes;
        var (fitting, needed) = TextMemory.Fitting(Model.Config, lengths, size ?? SamplingSettings.AtOnce, free);
        if (fitting > 0 && (size is null || fitting == Math.Min(size.Value, lengths.Count))) return fitting;
        throw new PlanRefusedException(
            $"{Math.Min(size ?? 1, lengths.Count)} answers at a time keep up to {Quantities.Bytes(needed)} of keys and values, "
            + $"and {Quantities.Bytes(free)} of memory are free; "
            + (fitting > 0 ? $"--batch-size {fitting} fits" : "a smaller --max-tokens needs less"));
    }

    public void Dispose()
    {
        _generator.Dispose();
        Model.Dispose();
    }
}
