using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Operations;

/// <summary>Choosing experts, sending rows to them, and what gates whole rows. A token has <c>chosen</c> slots, one for each of its experts; rows are slots
/// sorted by expert.</summary>
internal interface IExpertKernels
{
    /// <summary>Logits become scores; the best experts of each token and their weights.</summary>
    /// <param name="scores">(tokens, experts): logits, become scores.</param>
    /// <param name="correction">(experts), added to the scores for the choice alone; or none.</param>
    /// <param name="router">How it chooses.</param>
    /// <param name="experts">Experts.</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="choice">(tokens, chosen), int32: experts, best first.</param>
    /// <param name="weights">(tokens, chosen).</param>
    void Route(Place scores, Place correction, RouterConfig router, int experts, long tokens, Place choice, Place weights);

    /// <summary>The logits' gradient over the scores.</summary>
    /// <param name="scores">(tokens, experts), become the gradient.</param>
    /// <param name="choice">(tokens, chosen).</param>
    /// <param name="shares">(tokens, chosen): each weight times its gradient.</param>
    /// <param name="balance">(experts): gradient of each score from the balancing term; or none.</param>
    /// <param name="router">How it chose.</param>
    /// <param name="experts">Experts.</param>
    /// <param name="tokens">Tokens.</param>
    void RouteGradient(Place scores, Place choice, Place shares, Place balance, RouterConfig router, int experts, long tokens);

    /// <summary>target[i] = weights[slots[i]] source[rows[i]]; without weights target[i] = source[rows[i]].</summary>
    void Spread(Place source, Place rows, Place slots, Place weights, long count, int width, Place target);

    /// <summary>target[t] = sum over the slots s of token t of weights[s] source[places[s]]; without weights of source[places[s]].</summary>
    void Collect(Place source, Place places, Place weights, int chosen, long tokens, int width, Place target);

    /// <summary>target[slots[i]] = a[i] b[i], the sum over a row.</summary>
    void RowDots(Place a, Place b, Place slots, long count, int width, Place target);

    /// <summary>target[slots[i]] += the sum over row i of a times a single row b.</summary>
    void AddRowDots(Place a, Place b, Place slots, long count, int width, Place target);

    /// <summary>y = sigmoid(gate) x, a gate for each row, or that added.</summary>
    void GateRows(Place gate, Place x, int width, long rows, Place y, bool add);

    /// <summary>target = the gradient of the gates of <see cref="GateRows"/>.</summary>
    void GateRowsGradient(Place gate, Place x, Place dy, int width, long rows, Place target);

    /// <summary>target[i] = source[i step].</summary>
    void Pick(Place source, long step, long count, Place target);
}
