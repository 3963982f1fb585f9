using System.Globalization;

namespace Trainer.Distributed;

/// <summary>How long a rank waits for the others.</summary>
internal static class CollectiveTimeout
{
    /// <summary>Environment variable: seconds that a rank waits for the others before it gives up.</summary>
    public const string Variable = "TRAINER_COLLECTIVE_TIMEOUT";

    // Evaluation and saving happen on some ranks while others wait.
    private const double DefaultSeconds = 1800;

    /// <summary>The variable's, or the default.</summary>
    public static TimeSpan Value()
        => TimeSpan.FromSeconds(double.TryParse(Environment.GetEnvironmentVariable(Variable), NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds)
            && seconds > 0
            ? seconds : DefaultSeconds);
}
