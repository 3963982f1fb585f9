using System.Text.RegularExpressions;

namespace Trainer.Models.Config;

/// <summary>How a folder's linear weights are already quantized, as its config.json declares.</summary>
public sealed record StoredQuantization
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>The layout of the tensors.</summary>
    public required StoredFormat Format { get; init; }

    /// <summary>Whether absmax values of the 4-bit codes are quantized too (bitsandbytes).</summary>
    public bool DoubleQuantized { get; init; }

    /// <summary>Rows and columns that share a scale (8-bit floats in blocks), or null where the scales' own shape says it.</summary>
    public (int Rows, int Columns)? Block { get; init; }

    /// <summary>Columns that share a scale; null is all columns of a row.</summary>
    public int? GroupSize { get; init; }

    /// <summary>Zero points are stored minus one (GPTQ's first format).</summary>
    public bool ZerosMinusOne { get; init; }

    /// <summary>What the tool that made the folder calls it, for messages.</summary>
    public required string Name { get; init; }

    /// <summary>Bits of a code.</summary>
    public int Bits { get; init; } = 4;

    /// <summary>The modules it is of: a whole path, <c>re:</c> and an expression that the path begins with, or the name of a class, which is every linear;
    /// empty for all.</summary>
    public IReadOnlyList<string> Targets { get; init; } = [];

    /// <summary>Modules that are quantized otherwise, each with its targets; a whole path goes before an expression, that before a class.</summary>
    public IReadOnlyList<StoredQuantization> Others { get; init; } = [];

    /// <summary>The codes are NF4 as this trainer holds them, so the folder stays as it is whatever is asked for.</summary>
    public bool IsNf4 => Format == StoredFormat.Nf4;

    /// <summary>How one weight is quantized.</summary>
    /// <param name="weight">Its name, <c>PATH.weight</c>.</param>
    public StoredQuantization For(string weight)
    {
        ArgumentNullException.ThrowIfNull(weight);
        if (Others.Count == 0) return this;
        var path = weight.EndsWith(".weight", StringComparison.Ordinal) ? weight[..^".weight".Length] : weight;
        var (best, found) = (0, this);
        foreach (var one in (IEnumerable<StoredQuantization>)[this, .. Others])
            if (one.Targets.Select(target => Fit(target, path)).DefaultIfEmpty().Max() is var fit && fit > best) (best, found) = (fit, one);
        return found;
    }

    // How closely a target names a module; 0 where it does not.
    private static int Fit(string target, string path)
    {
        if (target == path) return 3;
        if (!target.StartsWith("re:", StringComparison.Ordinal)) return target.Contains("Linear", StringComparison.Ordinal) ? 1 : 0;
        return Regex.IsMatch(path, $"^(?:{target["re:".Length..]})", RegexOptions.CultureInvariant, Patience) ? 2 : 0;
    }
}
