using System.Text;

namespace Trainer.Hub.Mlflow;

/// <summary>Where an MLflow server is and who asks, read from the variables that MLflow's own client reads.</summary>
public sealed record MlflowOptions
{
    private MlflowOptions(Uri address) => Address = address;

    /// <summary>The server, without a slash at its end (MLFLOW_TRACKING_URI).</summary>
    public Uri Address { get; }

    /// <summary>The experiment that holds the run (MLFLOW_EXPERIMENT_NAME).</summary>
    public string Experiment { get; private init; } = "Default";

    /// <summary>The run's name, or null for one of ours (MLFLOW_RUN_NAME).</summary>
    public string? RunName { get; private init; }

    /// <summary>The header that says who asks, or null (MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD). Sent to the server
    /// alone.</summary>
    internal string? Authorization { get; private init; }

    /// <summary>The secret is not in the text.</summary>
    public override string ToString() => Address.ToString();

    /// <summary>Reads the variables.</summary>
    /// <param name="uri">The address that the user named; null takes MLFLOW_TRACKING_URI.</param>
    /// <param name="variable">Gives a variable's value or null; null reads the environment.</param>
    /// <exception cref="NotAvailableException">No server is named, or not by an address that can be spoken to.</exception>
    public static MlflowOptions Read(string? uri, Func<string, string?>? variable = null)
    {
        variable ??= Environment.GetEnvironmentVariable;
        string? Value(string name) => variable(name) is { Length: > 0 } value ? value : null;
        var named = uri ?? Value("MLFLOW_TRACKING_URI")
            ?? throw new NotAvailableException("no MLflow server is named; set MLFLOW_TRACKING_URI or pass --mlflow-uri http://HOST:PORT");
        if (!Uri.TryCreate(named.TrimEnd('/'), UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
            throw new NotAvailableException($"'{named}' is no http or https address of an MLflow server; start one with 'mlflow server' and name it");
        if (address.UserInfo.Length > 0)
        {
            throw new NotAvailableException("an address with a password in it would be kept in the run's record; set MLFLOW_TRACKING_USERNAME and "
                + "MLFLOW_TRACKING_PASSWORD");
        }
        var authorization = Value("MLFLOW_TRACKING_TOKEN") is { } token ? "Bearer " + token
            : Value("MLFLOW_TRACKING_USERNAME") is { } user
            ? "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{Value("MLFLOW_TRACKING_PASSWORD")}")) : null;
        return new MlflowOptions(address) { Experiment = Value("MLFLOW_EXPERIMENT_NAME") ?? "Default", RunName = Value("MLFLOW_RUN_NAME"),
            Authorization = authorization };
    }
}
