using Trainer.Engine.Fast.Cpu;
using Trainer.Models;

namespace Trainer.Engine.Tests.Models;

[Trait("ring", "unit")]
public sealed class ComputeChoiceTests
{
    private const long Large = 1_200_000_000;

    [Theory]
    [InlineData(false, 4096, Large)]
    [InlineData(true, 1024, Large)]
    [InlineData(true, 2048, 299_999_999)]
    public void Without_units_or_size_nothing_is_measured(bool hasUnits, int hidden, long parameters)
    {
        var choice = ComputeChoice.Decide(hasUnits, hidden, parameters, () => throw new InvalidOperationException("measured"));
        Assert.Equal(new ComputeChoice(ComputeKind.Float32, null), choice);
    }

    [Theory]
    [InlineData(0.2, ComputeKind.Float32)]
    [InlineData(1.29, ComputeKind.Float32)]
    [InlineData(1.31, ComputeKind.BFloat16)]
    [InlineData(2.1, ComputeKind.BFloat16)]
    public void A_large_model_takes_bfloat16_where_it_is_clearly_faster_and_says_so(double gain, ComputeKind expected)
    {
        var choice = ComputeChoice.Decide(true, 2048, Large, () => gain);
        Assert.Equal(expected, choice.Kind);
        Assert.Contains(expected == ComputeKind.BFloat16 ? "multiplied in bfloat16" : "multiplied in float32", choice.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tiny_model_is_computed_in_float32_on_any_processor()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        Assert.Equal(new ComputeChoice(ComputeKind.Float32, null), ComputeChoice.For(model, 1 << 20));
    }

    [Fact]
    public void The_measurement_gives_a_ratio()
    {
        Assert.InRange(ProductRace.Gain(64, 4096, 256), 1e-3, 1e3);
    }

    [Theory]
    [InlineData(ComputeKind.BFloat16, false, true)]
    [InlineData(ComputeKind.BFloat16, true, false)]
    [InlineData(ComputeKind.Float32, false, false)]
    [InlineData(ComputeKind.Int8, false, false)]
    public void Whoever_asks_for_bfloat16_without_units_is_warned_and_served(ComputeKind kind, bool hasUnits, bool warns)
    {
        Assert.Equal(warns, ComputeChoice.Warning(kind, "cpu", hasUnits) is not null);
    }
}
