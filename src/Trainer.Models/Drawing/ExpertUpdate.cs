using Trainer.Models.Parts;

namespace Trainer.Models.Drawing;

/// <summary>A low-rank update of one matrix of experts.</summary>
/// <param name="Part">Which matrix.</param>
/// <param name="Expert">Zero-based, or -1 where it is all experts'.</param>
/// <param name="Update">The update.</param>
public sealed record ExpertUpdate(ExpertPart Part, int Expert, LowRankUpdate Update);
