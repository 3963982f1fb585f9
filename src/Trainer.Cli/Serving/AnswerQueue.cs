using System.Collections.Concurrent;
using Trainer.Cli.Generating;

namespace Trainer.Cli.Serving;

/// <summary>One model answers one request at a time, on the thread that loaded it; the others wait their turn, as many as are allowed.</summary>
internal sealed class AnswerQueue(Speaker speaker, int most) : IDisposable
{
    private readonly BlockingCollection<Job> _jobs = new(most);

    /// <summary>What the model says; text is given out as it becomes certain, on the model's thread.</summary>
    /// <exception cref="ApiException">Too many are waiting, the prompt is too long, or the server is closing.</exception>
    /// <exception cref="OperationCanceledException">The client is gone, or its time is over.</exception>
    public async Task<Continuation> Ask(ApiRequest request, Action<string> say, CancellationToken stop)
    {
        var job = new Job(request, say, new TaskCompletionSource<Continuation>(TaskCreationOptions.RunContinuationsAsynchronously), stop);
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
        foreach (var job in _jobs.GetConsumingEnumerable()) Answer(job);
    }

    /// <summary>Takes no further request.</summary>
    public void Close() => _jobs.CompleteAdding();

    public void Dispose() => _jobs.Dispose();

    private void Answer(Job job)
    {
        try
        {
            job.Stop.ThrowIfCancellationRequested();
            var request = job.Request;
            var ids = request.Messages is { } messages ? speaker.Conversation(messages) : speaker.Plain(request.Prompt!);
            var positions = speaker.Model.Config.MaxPositions;
            if (ids.Length >= positions) throw new ApiException(400, $"the prompt has {ids.Length} tokens and the model {positions} positions; shorten it", code: "context_length_exceeded");
            speaker.Model.AdaptersEnabled = request.Model == "adapter";
            job.Answer.SetResult(speaker.Continue(ids, request.Sampling, request.Stops, job.Say, job.Stop));
        }
        catch (OperationCanceledException)
        {
            job.Answer.SetCanceled(job.Stop);
        }
        catch (Exception fault)
        {
            job.Answer.SetException(fault);
        }
    }

    private sealed record Job(ApiRequest Request, Action<string> Say, TaskCompletionSource<Continuation> Answer, CancellationToken Stop);
}
