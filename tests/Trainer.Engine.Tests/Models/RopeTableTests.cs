using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Rope;
using Trainer.Models.Config;
using Trainer.Models.Families;

namespace Trainer.Engine.Tests.Models;

[Trait("ring", "unit")]
public class RopeTableTests
{
    [Fact]
    public void Frequencies_equal_those_the_reference_used()
    {
        foreach (var path in Directory.GetFiles(Golden.Root, "io.safetensors", SearchOption.AllDirectories))
        {
            using var io = SafetensorsFile.Open(path);
            var config = ConfigLoader.Load(Path.GetDirectoryName(path)!);
            for (var r = 0; r < config.Ropes.Count; r++)
            {
                if (!io.Tensors.ContainsKey($"inv_freq.{r}")) continue;
                var expected = Golden.Floats(io, $"inv_freq.{r}");
                var own = RopeTable.Make(config.Ropes[r], 40).Frequencies;
                Assert.Equal(expected.Length, own.Length);
                for (var i = 0; i < own.Length; i++) Assert.InRange(own[i], expected[i] * (1 - 3e-7), expected[i] * (1 + 3e-7));
            }
        }
    }

    // Computed in double precision from the formulas of the papers (YaRN 2309.00071; NTK-aware dynamic scaling).
    [Fact]
    public void Yarn_blends_both_ends_of_its_ramp()
    {
        var rope = new RopeConfig { Kind = RopeKind.Yarn, Theta = 1e6, Dimensions = 16, Factor = 4, OriginalMaxPositions = 32, MaxPositions = 128 };
        var (frequencies, multiplier) = RopeTable.Make(rope, 40);
        AssertClose([1.0, 0.044456985250973066, 0.007905694150420948, 0.0014058533129758727, 0.00025, 4.445698525097307e-05, 7.905694150420949e-06,
            1.4058533129758728e-06], frequencies);
        Assert.Equal(1.138629436111989, multiplier, 12);
        var wide = RopeTable.Make(new RopeConfig { Kind = RopeKind.Yarn, Theta = 10000, Dimensions = 64, Factor = 4, OriginalMaxPositions = 4096,
            MaxPositions = 16384 }, 40).Frequencies;
        AssertClose([1.0, 0.31622776601683794, 0.1, 0.02797399468610489, 0.006538461538461538, 0.0013378867023789293, 0.00025, 7.905694150420948e-05],
            [.. wide.Where((_, i) => i % 4 == 0)]);
        // The factor falls back to the ratio of the lengths.
        Assert.Equal(frequencies, RopeTable.Make(rope with { Factor = null }, 40).Frequencies);
    }

    [Fact]
    public void Dynamic_scaling_grows_the_base_beyond_the_original_length_only()
    {
        var rope = new RopeConfig { Kind = RopeKind.Dynamic, Dimensions = 16, Factor = 2, MaxPositions = 32 };
        AssertClose([1.0, 0.2839451388482507, 0.08062484187555236, 0.02289303192097197, 0.0065003651274578205, 0.0018457470786803376, 0.0005240909105346416,
            0.0001488130663608649], RopeTable.Make(rope, 50).Frequencies);
        Assert.Equal(RopeTable.Make(new RopeConfig { Dimensions = 16 }, 20).Frequencies, RopeTable.Make(rope, 20).Frequencies);
    }

    private static void AssertClose(double[] expected, float[] own)
    {
        Assert.Equal(expected.Length, own.Length);
        for (var i = 0; i < own.Length; i++) Assert.InRange(own[i], expected[i] * (1 - 1e-6), expected[i] * (1 + 1e-6));
    }
}
