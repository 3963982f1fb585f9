namespace Trainer.Hub;

/// <summary>Where the hub and its cache are, read from the variables that every Hugging Face tool reads.</summary>
public sealed record HubOptions
{
    /// <summary>The hub's address, without a slash at its end (HF_ENDPOINT).</summary>
    public Uri Endpoint { get; init; } = new("https://huggingface.co");

    /// <summary>The folder of the cached models (HF_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub).</summary>
    public required string CacheFolder { get; init; }

    /// <summary>The user's token, or null (HF_TOKEN, or the file that logging in leaves). Sent to the endpoint alone.</summary>
    public string? Token { get; init; }

    /// <summary>Whether nothing may be fetched (HF_HUB_OFFLINE).</summary>
    public bool IsOffline { get; init; }

    /// <summary>Connections at once.</summary>
    public int Connections { get; init; } = 8;

    /// <summary>Bytes asked for by one request; larger files are fetched as several ranges.</summary>
    public long RangeBytes { get; init; } = 64L << 20;

    /// <summary>Tries in a row without a new byte before giving up.</summary>
    public int Tries { get; init; } = 6;

    /// <summary>Longest silence on a connection before it is given up and tried again.</summary>
    public TimeSpan StallLimit { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The token is a secret: it is not in the text.</summary>
    public override string ToString() => $"{Endpoint} -> {CacheFolder}{(IsOffline ? " (offline)" : "")}";

    /// <summary>Reads the variables.</summary>
    /// <param name="variable">Gives a variable's value or null; null reads the environment.</param>
    /// <exception cref="NotAvailableException">HF_ENDPOINT is not an address.</exception>
    public static HubOptions FromEnvironment(Func<string, string?>? variable = null)
    {
        variable ??= Environment.GetEnvironmentVariable;
        string? Value(string name) => variable(name) is { Length: > 0 } value ? value : null;
        var home = Value("HOME") ?? Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        string Expand(string path) => path == "~" ? home : path.StartsWith("~/", StringComparison.Ordinal) ? Path.Combine(home, path[2..]) : path;
        var hfHome = Expand(Value("HF_HOME") ?? Path.Combine(Value("XDG_CACHE_HOME") ?? Path.Combine(home, ".cache"), "huggingface"));
        var cache = Expand(Value("HF_HUB_CACHE") ?? Value("HUGGINGFACE_HUB_CACHE") ?? Path.Combine(hfHome, "hub"));
        var endpoint = Value("HF_ENDPOINT") ?? "https://huggingface.co";
        if (!Uri.TryCreate(endpoint.TrimEnd('/'), UriKind.Absolute, out var address) || address.Scheme is not ("https" or "http"))
            throw new NotAvailableException($"HF_ENDPOINT '{endpoint}' is not an http or https address; correct or unset it");
        var token = Value("HF_TOKEN") ?? Value("HUGGING_FACE_HUB_TOKEN");
        if (token is null && !IsTrue(Value("HF_HUB_DISABLE_IMPLICIT_TOKEN")))
            token = ReadToken(Expand(Value("HF_TOKEN_PATH") ?? Path.Combine(hfHome, "token")));
        return new HubOptions
        {
            Endpoint = address,
            CacheFolder = Path.GetFullPath(cache),
            Token = token?.Trim() is { Length: > 0 } trimmed ? trimmed : null,
            IsOffline = IsTrue(Value("HF_HUB_OFFLINE")) || IsTrue(Value("TRANSFORMERS_OFFLINE")),
        };
    }

    private static bool IsTrue(string? value) => value?.ToUpperInvariant() is "1" or "ON" or "YES" or "TRUE";

    private static string? ReadToken(string path)
    {
        try
        {
            return File.Exists(path) ? File.ReadAllText(path) : null;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
