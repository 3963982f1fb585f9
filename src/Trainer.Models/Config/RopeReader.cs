namespace Trainer.Models.Config;

/// <summary>Reads a rotary embedding from rope_theta and rope_scaling (transformers 4) or rope_parameters (transformers 5).</summary>
internal static class RopeReader
{
    /// <summary>Reads one rotary embedding.</summary>
    /// <param name="reader">config.json.</param>
    /// <param name="headSize">Elements of a head.</param>
    /// <param name="theta">rope_theta where config.json does not say.</param>
    /// <param name="rotaryShare">Share of each head that is rotated where config.json does not say (partial_rotary_factor); null where the family rotates whole
    /// heads and nothing else.</param>
    /// <param name="layerType">Which entry to take where rope_parameters has one for each layer type.</param>
    public static RopeConfig Read(ConfigReader reader, int headSize, double theta = 10000, double? rotaryShare = null, string? layerType = null)
    {
        var parameters = reader.Object("rope_parameters");
        if (parameters is not null && layerType is not null && parameters.Has(layerType)) parameters = parameters.Object(layerType);
        else if (parameters is not null && layerType is null && parameters.Has("full_attention")) parameters = parameters.Object("full_attention");
        var older = reader.Object("rope_scaling");
        if (parameters is null || older is null) return Read(reader, parameters ?? older, headSize, theta, rotaryShare);
        var rope = Read(reader, parameters, headSize, theta, rotaryShare);
        // Which of the two counts depends on the reader's release, so both must say the same; rope_scaling never was about sliding layers.
        if (layerType is not "sliding_attention"
            && !AreSame(rope, Read(reader, older, headSize, parameters.Has("rope_theta") && !older.Has("rope_theta") ? rope.Theta : theta, rotaryShare),
                older.Has("rope_theta")))
            throw reader.Fault("rope_scaling", "says something else than 'rope_parameters', and readers differ in which of the two they follow; keep the "
                + "right one");
        return rope;
    }

    private static bool AreSame(RopeConfig one, RopeConfig other, bool withTheta)
    {
        static RopeConfig Plain(RopeConfig rope) => rope with { Theta = 0, ShortFactors = [], LongFactors = [] };
        return Plain(one) == Plain(other) && (!withTheta || one.Theta == other.Theta) && one.ShortFactors.SequenceEqual(other.ShortFactors)
            && one.LongFactors.SequenceEqual(other.LongFactors);
    }

    private static RopeConfig Read(ConfigReader reader, ConfigReader? scaling, int headSize, double theta, double? rotaryShare)
    {
        var share = scaling?.NumberOrNull("partial_rotary_factor") ?? reader.Number("partial_rotary_factor", rotaryShare ?? 1);
        if (share != 1 && rotaryShare is null) throw reader.NotImplemented("partial_rotary_factor", share.ToString());
        var maxPositions = reader.Positive("max_position_embeddings", 2048);
        if (scaling?.Text("rope_type") is "proportional")
            return new RopeConfig { Kind = RopeKind.Proportional, Theta = scaling.PositiveNumber("rope_theta", theta), Dimensions = headSize,
                MaxPositions = maxPositions, TurnedPairs = (int)(share * headSize / 2) };
        var dimensions = (int)(headSize * share);
        if (dimensions < 2 || dimensions % 2 != 0) throw reader.Fault("partial_rotary_factor", $"rotates {dimensions} elements of a head, which must be even");
        var rope = new RopeConfig
        {
            Theta = scaling?.PositiveNumberOrNull("rope_theta") ?? reader.PositiveNumber("rope_theta", theta),
            Dimensions = dimensions,
            MaxPositions = maxPositions,
        };
        if (scaling is null) return rope;
        var original = scaling.IntOrNull("original_max_position_embeddings") ?? reader.IntOrNull("original_max_position_embeddings") ?? maxPositions;
        return (scaling.Text("rope_type") ?? scaling.Text("type") ?? "default") switch
        {
            // Text alone has three equal rows of positions, so the three-part embedding of images is the plain one.
            "default" or "mrope" => rope,
            "linear" => rope with { Kind = RopeKind.Linear, Factor = scaling.PositiveNumber("factor") },
            // Hunyuan's alpha raises the base once and for all.
            "dynamic" when scaling.PositiveNumberOrNull("alpha") is { } alpha
                => rope with { Theta = rope.Theta * Math.Pow(alpha, dimensions / (dimensions - 2.0)) },
            "dynamic" => rope with { Kind = RopeKind.Dynamic, Factor = scaling.PositiveNumber("factor") },
            "llama3" => rope with
            {
                Kind = RopeKind.Llama3,
                Factor = scaling.PositiveNumber("factor"),
                LowFrequencyFactor = scaling.PositiveNumber("low_freq_factor"),
                HighFrequencyFactor = scaling.PositiveNumber("high_freq_factor"),
                OriginalMaxPositions = scaling.Positive("original_max_position_embeddings"),
            },
            "yarn" => rope with
            {
                Kind = RopeKind.Yarn,
                Factor = scaling.PositiveNumberOrNull("factor"),
                OriginalMaxPositions = original,
                AttentionFactor = scaling.PositiveNumberOrNull("attention_factor"),
                BetaFast = NonZero(scaling.NumberOrNull("beta_fast"), 32),
                BetaSlow = NonZero(scaling.NumberOrNull("beta_slow"), 1),
                Mscale = scaling.NumberOrNull("mscale"),
                MscaleAllDimensions = scaling.NumberOrNull("mscale_all_dim"),
                Truncate = scaling.Bool("truncate", true),
            },
            "longrope" or "su" => rope with
            {
                Kind = RopeKind.LongRope,
                Factor = scaling.PositiveNumberOrNull("factor"),
                OriginalMaxPositions = original,
                AttentionFactor = scaling.PositiveNumberOrNull("attention_factor"),
                ShortFactors = Factors(scaling, "short_factor", dimensions / 2),
                LongFactors = Factors(scaling, "long_factor", dimensions / 2),
            },
            var other => throw scaling.NotImplemented("rope_type", $"'{other}'"),
        };
    }

    // Zero means "not given" in the reference implementation too.
    private static double NonZero(double? value, double otherwise) => value is null or 0 ? otherwise : value.Value;

    private static IReadOnlyList<double> Factors(ConfigReader scaling, string key, int count)
    {
        var factors = scaling.Numbers(key) ?? throw scaling.Missing(key);
        if (factors.Count != count) throw scaling.Fault(key, $"has {factors.Count} entries, {count} rotated pairs need as many");
        return factors.All(factor => factor > 0 && double.IsFinite(factor)) ? factors : throw scaling.Fault(key, "holds a number that is not above 0");
    }
}
