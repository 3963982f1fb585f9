using System.Net.Http;
using System.Net.Sockets;

namespace Trainer.Hub;

/// <summary>Tries again what may pass, with growing pauses, until too many tries in a row brought nothing.</summary>
/// <param name="options">How often, and how long a silence may be.</param>
/// <param name="clock">Measures pauses.</param>
/// <param name="note">Hears of each new try.</param>
/// <param name="verb">What is done, for the sentence: fetch, or push.</param>
internal sealed class Patience(HubOptions options, TimeProvider clock, Action<string> note, string verb = "fetch")
{
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(5);

    /// <summary>Runs a short request, which must be answered within the longest silence.</summary>
    internal Task<T> AskAsync<T>(string what, Func<CancellationToken, Task<T>> action, CancellationToken cancel)
        => RunAsync(what, static () => 0, async token =>
    {
        using var stall = new CancellationTokenSource(options.StallLimit, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stall.Token, token);
        return await action(either.Token).ConfigureAwait(false);
    }, cancel);

    /// <summary>Runs an action to its end.</summary>
    /// <param name="what">What is being fetched, for the sentence.</param>
    /// <param name="progress">A number that grows when something was achieved; growth starts the count of tries again.</param>
    /// <param name="action">What is tried.</param>
    /// <param name="cancel">Ends the pauses too.</param>
    internal async Task<T> RunAsync<T>(string what, Func<long> progress, Func<CancellationToken, Task<T>> action, CancellationToken cancel)
    {
        for (var tries = 1; ; tries++)
        {
            var before = progress();
            string why;
            TimeSpan? asked = null;
            try
            {
                return await action(cancel).ConfigureAwait(false);
            }
            catch (RetryException fault)
            {
                (why, asked) = (fault.Message, fault.Wait);
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                why = $"nothing came for {options.StallLimit.TotalSeconds:0} s";
            }
            catch (Exception fault) when (fault is HttpRequestException or SocketException or HttpIOException
                || fault is IOException { InnerException: SocketException })
            {
                why = fault.Message.TrimEnd('.');
            }
            tries = progress() > before ? 1 : tries;
            if (tries >= options.Tries)
            {
                throw new NotAvailableException($"cannot {verb} {what}: {why}, {tries} times in a "
                    + $"row; {(verb == "fetch" ? "what is here is kept, " : "")}type the command again to continue");
            }
            var pause = asked ?? TimeSpan.FromSeconds(Math.Min(60, Math.Pow(2, tries - 1)));
            pause = pause < TimeSpan.Zero ? TimeSpan.Zero : pause > LongestPause ? LongestPause : pause;
            note($"{what}: {why}; trying again in {pause.TotalSeconds:0} s ({tries} of {options.Tries})");
            await Task.Delay(pause, clock, cancel).ConfigureAwait(false);
        }
    }
}
