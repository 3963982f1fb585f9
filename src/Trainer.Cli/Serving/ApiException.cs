namespace Trainer.Cli.Serving;

/// <summary>A request that is answered with an error, in the words of OpenAI's interface.</summary>
/// <param name="status">HTTP status.</param>
/// <param name="message">What was wrong and what to do.</param>
/// <param name="parameter">The field of the request, or null.</param>
/// <param name="code">A word that programs look at.</param>
internal sealed class ApiException(int status, string message, string? parameter = null, string code = "invalid_request") : Exception(message)
{
    public int Status { get; } = status;

    /// <summary>The answer's body.</summary>
    public object Body => new { error = new { message = Message, type = Status >= 500 ? "server_error" : "invalid_request_error", param = parameter, code } };
}
