using System.Net;
using Trainer.Engine.Generation;

namespace Trainer.Cli.Serving;

/// <summary>Where the server listens and what it permits.</summary>
internal sealed record ServeOptions
{
    public required IPAddress Address { get; init; }

    /// <summary>0 takes a free one.</summary>
    public required int Port { get; init; }

    /// <summary>What a request must bring as its bearer token, or null.</summary>
    public string? Key { get; init; }

    public required long MaxRequestBytes { get; init; }

    /// <summary>How long a request may take, waiting included.</summary>
    public required TimeSpan Timeout { get; init; }

    /// <summary>How tokens are chosen where a request is silent; its token count is the most that is given.</summary>
    public required SamplingOptions Sampling { get; init; }

    public required bool HasAdapter { get; init; }

    /// <summary>Whether the model has a chat template; without one, texts alone are continued.</summary>
    public required bool HasTemplate { get; init; }
}
