namespace Trainer.Models.Parts;

/// <summary>A dense block and experts that read the same stream, each behind norms of its own and normed again, added (Gemma 4).</summary>
/// <param name="Dense">The dense block.</param>
/// <param name="Experts">The experts, whose router reads the raw stream.</param>
/// <param name="Norm">What the four norms compute.</param>
public sealed record DenseBesideExperts(DenseFeedForward Dense, ExpertFeedForward Experts, NormConfig Norm) : FeedForward
{
    /// <inheritdoc/>
    public override string Name => "dense block beside experts";

    internal override IEnumerable<ModuleBlueprint> Draw(LayerPath path)
    {
        foreach (var module in Dense.Draw(path)) yield return module;
        foreach (var name in (string[])["pre_feedforward_layernorm", "post_feedforward_layernorm_1", "pre_feedforward_layernorm_2",
            "post_feedforward_layernorm_2"])
            yield return path.Norm(name, ModuleRole.Part, Norm, path.Hidden);
        foreach (var module in Experts.Draw(path)) yield return module;
    }
}
