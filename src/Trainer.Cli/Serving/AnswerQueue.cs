using System.Collections.Concurrent;
using Trainer.Cli.Generating;
using Trainer.Engine.Generation;
using Trainer.Numerics.Machine;
using Trainer.Training.Options;

namespace Trainer.Cli.Serving;

/// <summary>One model answers several requests at a time, on the thread that loaded it: one that comes joins those being answered, the others wait their turn,
/// as many as are allowed.</summary>
/// <param name="speaker">The model.</param>
/// <param name="most">Requests that may wait.</param>
/// <param name="atOnce">Answers given at a time.</param>
internal sealed class AnswerQueue(Speaker speaker, int most, int atOnce) : IDisposable
{
    // The latest text's keys and values stay for the next turn of its conversation; other memory is for what a pass computes.
    private const int KeptTexts = 1;
    private const double MemoryShare = 0.5;

    private readonly BlockingCollection<Job> _jobs = new(most);
    private readonly List<Job> _open = [];
    private readonly long _memory = (long)(MachineLimits.AvailableBytes * MemoryShare);
    private TextBatch? _batch;
    private Job? _next;

    /// <summary>What the model says; text is given out as it becomes certain, on the model's thread.</summary>
    /// <exception cref="ApiException">Too many are waiting, the prompt is too long, or the server is closing.</exception>
    /// <exception cref="OperationCanceledException">The client is gone, or its time is over.</exception>
    public async Task<Continuation> Ask(ApiRequest request, Action<string> say, CancellationToken stop)
    {
        var job = new Job(request, say, stop);
        try
        {
            if (!_jobs.TryAdd(job)) throw new ApiException(429, $"{most} requests are waiting already; try again later", code: "too_many_requests");
        }
        catch (InvalidOperationException)
        {
            throw new ApiException(503, "the server is closing", code: "closing");
        }
        return await job.Answer.Task;
    }

    /// <summary>Answers until <see cref="Close"/> was called and nobody waits.</summary>
    public void Work()
    {
        while (Admit()) Step();
    }

    /// <summary>Takes no further request.</summary>
    public void Close() => _jobs.CompleteAdding();

    public void Dispose()
    {
        _batch?.Dispose();
        _jobs.Dispose();
    }

    // Waits for a request where nothing is to be done; says whether there is anything.
    private bool Admit()
    {
        while (_open.Count < atOnce)
        {
            if (_next is null && !_jobs.TryTake(out _next, _open.Count == 0 ? Timeout.Infinite : 0)) break;
            if (!Try(_next, () => Begin(_next))) break;
            _next = null;
        }
        return _open.Count > 0 || _next is not null;
    }

    // Says whether the request needs to wait no longer: its answer began, or it has none.
    private bool Begin(Job job)
    {
        job.Stop.ThrowIfCancellationRequested();
        var (request, config) = (job.Request, speaker.Model.Config);
        var ids = request.Messages is { } messages ? speaker.Conversation(messages) : speaker.Plain(request.Prompt!);
        if (ids.Length >= config.MaxPositions)
            throw new ApiException(400, $"the prompt has {ids.Length} tokens and the model {config.MaxPositions} positions; shorten it",
                code: "context_length_exceeded");
        var sampling = speaker.RoomFor(ids, request.Sampling);
        job.Bytes = TextMemory.Bytes(config, 1, ids.Length + sampling.MaxTokens);
        if (job.Bytes > _memory)
            throw new ApiException(400, $"{ids.Length + sampling.MaxTokens} tokens keep {Quantities.Bytes(job.Bytes)} of keys and values, "
                + $"and {Quantities.Bytes(_memory)} are free for them; ask for fewer max_tokens", "max_tokens");
        var adapted = request.Model == "adapter";
        if (_open.Count > 0 && (adapted != speaker.Model.AdaptersEnabled || _open.Sum(open => open.Bytes) + job.Bytes > _memory)) return false;
        if (_batch is null || adapted != speaker.Model.AdaptersEnabled)
        {
            _batch?.Dispose();
            speaker.Model.AdaptersEnabled = adapted;
            _batch = new TextBatch(speaker.Model, KeptTexts);
        }
        job.Spoken = new SpokenText(speaker.Tokenizer, ids, sampling.MaxTokens, request.Stops, job.Say);
        job.Text = _batch.Add(ids, sampling);
        _open.Add(job);
        return true;
    }

    private void Step()
    {
        foreach (var job in _open.Where(job => job.Stop.IsCancellationRequested).ToList()) End(job, () => job.Answer.SetCanceled(job.Stop));
        if (_open.Count == 0) return;
        try
        {
            _batch!.Step();
        }
        catch (Exception fault)
        {
            // What the texts hold by now may be half computed.
            foreach (var job in _open.ToList()) End(job, () => job.Answer.SetException(fault));
            _batch!.Dispose();
            _batch = null;
            return;
        }
        foreach (var job in _open.ToList())
        {
            var goesOn = job.Text.Token is not { } token || job.Spoken.Add(token);
            if (!goesOn || job.Text.HasEnded) End(job, () => job.Answer.SetResult(job.Spoken.End()));
        }
    }

    private void End(Job job, Action answer)
    {
        _open.Remove(job);
        _batch!.Remove(job.Text);
        answer();
    }

    private static bool Try(Job job, Func<bool> begin)
    {
        try
        {
            return begin();
        }
        catch (OperationCanceledException)
        {
            job.Answer.SetCanceled(job.Stop);
        }
        catch (Exception fault)
        {
            job.Answer.SetException(fault);
        }
        return true;
    }

    private sealed class Job(ApiRequest request, Action<string> say, CancellationToken stop)
    {
        public ApiRequest Request { get; } = request;

        public Action<string> Say { get; } = say;

        public CancellationToken Stop { get; } = stop;

        public TaskCompletionSource<Continuation> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>Keys and values that its text may come to hold.</summary>
        public long Bytes { get; set; }

        public SpokenText Spoken { get; set; } = null!;

        public BatchText Text { get; set; } = null!;
    }
}
