using System.Globalization;
using System.Text;
using Trainer.Distributed;
using Trainer.Engine.Tests.Models;
using Trainer.Models.Lora;
using Trainer.Training;
using Trainer.Training.Options;
using Trainer.Training.Plan;

namespace Trainer.Engine.Tests.Training;

/// <summary>What a sum over ranks costs, and the tables of it in the docs; UPDATE_SNAPSHOTS=1 writes these anew.</summary>
public class ScalingTableTests
{
    private const string Begin = "<!-- computed: tests/Trainer.Engine.Tests/Training/ScalingTableTests.cs -->\n", End = "<!-- end -->\n";
    private static readonly string Page = Path.Combine(Path.GetDirectoryName(Path.GetDirectoryName(Golden.Fixtures))!, "src", "Trainer.Distributed", "docs",
        "scaling.md");

    private static readonly (string Name, string Shape)[] Models =
    [
        ("134M", "768 2048 12 12 12 32000"), ("1B", "2048 8192 16 32 8 128256"), ("3B", "3072 8192 28 24 8 128256"), ("8B", "4096 14336 32 32 8 128256"),
        ("14B", "5120 13824 48 40 8 152064"), ("32B", "5120 27648 64 40 8 152064"), ("70B", "8192 28672 80 64 8 128256"),
    ];

    private static readonly string[] Attention = ["q_proj", "v_proj"];

    [Fact]
    public void A_ring_moves_twice_the_bytes_and_a_tree_them_for_each_doubling()
    {
        const double Gigabit = 125e6;
        Assert.Equal(0, Scaling.RingSeconds(1 << 20, 1, Gigabit));
        Assert.Equal(0, Scaling.TreeSeconds(1 << 20, 1, Gigabit));
        // By hand: 2 x 3 messages of 31.25 MB at 125 MB/s, and 2 x 2 of 125 MB.
        Assert.Equal(6 * (50e-6 + 0.25), Scaling.RingSeconds(125_000_000, 4, Gigabit), 9);
        Assert.Equal(4 * (50e-6 + 1), Scaling.TreeSeconds(125_000_000, 4, Gigabit), 9);
        Assert.Equal(6 * (50e-6 + 1), Scaling.TreeSeconds(125_000_000, 5, Gigabit), 9);
    }

    [Theory]
    // Expected maxima of n standard normal draws: 1/sqrt(pi), 3/(2 sqrt(pi)), and Harter (1961).
    [InlineData(1, 0), InlineData(2, 0.5641896), InlineData(3, 0.8462844), InlineData(10, 1.5387527), InlineData(100, 2.5075936)]
    public void The_slowest_rank_is_the_expected_maximum(int ranks, double expected) => Assert.Equal(1 + 0.1 * expected, Scaling.SlowestRank(ranks, 0.1), 5);

    [Theory]
    [InlineData("10Gbit", 1.25e9), InlineData("1gbit/s", 125e6), InlineData("100 Mbit", 12.5e6), InlineData("25Gbps", 3.125e9), InlineData("3GB/s", 3e9),
        InlineData("0.5Tbit", 62.5e9)]
    [InlineData("10", 0), InlineData("10G", 0), InlineData("bit", 0), InlineData("-1Gbit", 0), InlineData("0Gbit", 0), InlineData("fast", 0), InlineData("", 0)]
    public void A_rate_has_a_unit(string text, double bytesPerSecond)
    {
        Assert.Equal(bytesPerSecond > 0, Quantities.TryRate(text, out var rate));
        Assert.Equal(bytesPerSecond, rate);
    }

    [Fact]
    public void The_tables_of_the_docs_are_those_of_the_formulas()
    {
        var page = File.ReadAllText(Page);
        var (begin, end) = (page.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length, page.IndexOf(End, StringComparison.Ordinal));
        var computed = Sizes() + Growth();
        if (Environment.GetEnvironmentVariable("UPDATE_SNAPSHOTS") == "1") File.WriteAllText(Page, page[..begin] + computed + page[end..]);
        else Assert.Equal(computed, page[begin..end]);
    }

    private static string Sizes()
    {
        var text = new StringBuilder("\n## Gradients by model and rank\n\nSeconds of one sum over many ranks in a ring, 2 B / W.\n\n| model | adapter | "
            + "gradients | 1 Gbit/s | 10 Gbit/s | 100 Gbit/s |\n| --- | --- | --- | --- | --- | --- |\n");
        foreach (var (name, _) in Models)
            foreach (var (words, rank, modules) in ((string, int, string[]?)[])[("rank 8, q and v", 8, Attention), ("rank 16, all linears", 16, null),
                ("rank 64, all linears", 64, null)])
            {
                var bytes = GradientBytes(name, rank, modules);
                text.Append(CultureInfo.InvariantCulture, $"| {name} | {words} | {bytes / 1e6:0.0} MB |");
                foreach (var gigabits in (int[])[1, 10, 100]) text.Append(CultureInfo.InvariantCulture, $" {2 * bytes / (gigabits * 125e6):0.000} s |");
                text.Append('\n');
            }
        return text.ToString();
    }

    private static string Growth()
    {
        var text = new StringBuilder("\n## Up to 256 ranks\n\nEfficiency in percent where each rank's part is one micro-batch, the least that it can be; the "
            + "step times are those measured on a machine of two cores "
            + "([benchmarks](../../../tests/Trainer.Benchmarks/README.md)).\nRing, then tree; the last columns are the ring at 10 Gbit/s with ranks whose "
            + "times scatter by 5 and 20 percent. A faster machine has a shorter part: read the row with less efficiency.\n");
        foreach (var (name, part) in ((string, double)[])[("134M", 2.5), ("1B", 13.2), ("8B", 104.5)])
        {
            var bytes = GradientBytes(name, 16, null);
            text.Append(CultureInfo.InvariantCulture,
                $"\n{name}, rank 16 on all linears: {bytes / 1e6:0.0} MB, a part of {part} s.\n\n| ranks | 1 Gbit/s | 10 Gbit/s | 100 Gbit/s | 5 % | 20 % "
                + $"|\n| --- | --- | --- | --- | --- | --- |\n");
            for (var ranks = 2; ranks <= 256; ranks *= 2)
            {
                text.Append(CultureInfo.InvariantCulture, $"| {ranks} |");
                foreach (var gigabits in (int[])[1, 10, 100])
                    text.Append(CultureInfo.InvariantCulture,
                        $" {100 * Scaling.Efficiency(part, 1, Scaling.RingSeconds(bytes, ranks, gigabits * 125e6)):0.0}, "
                        + $"{100 * Scaling.Efficiency(part, 1, Scaling.TreeSeconds(bytes, ranks, gigabits * 125e6)):0.0} |");
                foreach (var deviation in (double[])[0.05, 0.2])
                    text.Append(CultureInfo.InvariantCulture,
                        $" {100 * Scaling.Efficiency(part, Scaling.SlowestRank(ranks, deviation), Scaling.RingSeconds(bytes, ranks, 1.25e9)):0.0} |");
                text.Append('\n');
            }
        }
        return text.ToString();
    }

    private static long GradientBytes(string model, int rank, string[]? modules)
    {
        var folder = Directory.CreateTempSubdirectory("scaling-").FullName;
        try
        {
            var shape = Models.Single(known => known.Name == model).Shape.Split(' ').Select(int.Parse).ToArray();
            File.WriteAllText(Path.Combine(folder, "config.json"), $$"""
                {"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":{{shape[0]}},"intermediate_size":{{shape[1]}},"num_hidden_layers":{{shape[2]}},"num_attention_heads":{{shape[3]}},
                 "num_key_value_heads":{{shape[4]}},"vocab_size":{{shape[5]}},"rms_norm_eps":1e-05,"rope_theta":500000.0,"max_position_embeddings":8192,"hidden_act":"silu","tie_word_embeddings":false}
                """);
            var lora = new LoraOptions { Rank = rank };
            if (modules is not null) lora = lora with { TargetModules = modules };
            return 4 * RunPlanner.Plan(new TrainingOptions { Model = model, ModelDirectory = folder, OutputDirectory = folder,
                Data = new Trainer.Data.DataOptions(), Lora = lora, MaxMemoryBytes = 1L << 50 }).TrainableParameters;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
