using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>What the families with Mamba-2 read the same way.</summary>
internal static class MambaKeys
{
    /// <summary>Groups of heads.</summary>
    public static int Groups(ConfigReader reader, int heads)
    {
        var groups = reader.Positive("mamba_n_groups", 1);
        return heads % groups == 0 ? groups : throw reader.Fault("mamba_n_groups", $"is {groups}, which does not divide mamba_n_heads {heads}");
    }

    /// <summary>Least and largest step of time.</summary>
    public static (double Least, double Largest) StepLimits(ConfigReader reader)
    {
        if (!reader.Has("time_step_limit")) return (0, double.PositiveInfinity);
        var limits = reader.Limits("time_step_limit");
        return limits.Count == 2 && limits[0] <= limits[1]
            ? (limits[0], limits[1]) : throw reader.Fault("time_step_limit", "is not a least and a largest number");
    }
}
