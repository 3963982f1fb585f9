namespace Trainer.Engine.Fast.Operations;

/// <summary>The parts of a decoder layer that are no matrix products, and the loss. Constants of the model are the kernels' own.</summary>
internal interface ILayerKernels
{
    /// <summary>y = norm(x) of rows of <paramref name="width"/> with the weight plus the offset, and each row's inverse root mean square (unless none is asked
    /// for); y may be x.</summary>
    void Norm(Place x, Place weight, float offset, float epsilon, Place y, Place inverse, int width, long rows);

    /// <summary>sum = x + m delta, y = norm(sum) (rows, hidden).</summary>
    void AddNorm(Place x, Place delta, Place sum, Place weight, Place y, Place inverse, long rows);

    /// <summary>dx = residual (or nothing) + the gradient through the norm; dx may be dy or residual.</summary>
    void NormBackward(Place x, Place weight, float offset, Place inverse, Place dy, Place residual, Place dx, int width, long rows);

    /// <summary>Adds the gradient of a norm's weight.</summary>
    void NormWeightGradient(Place x, Place inverse, Place dy, Place target, int width, long rows);

    /// <summary>Turns heads by their tokens' positions, in place.</summary>
    /// <param name="x">(tokens, heads, size).</param>
    /// <param name="stride">Floats from a token to the next.</param>
    /// <param name="heads">Heads.</param>
    /// <param name="size">Elements of a head.</param>
    /// <param name="cos">Table (positions, half).</param>
    /// <param name="sin">Table (positions, half).</param>
    /// <param name="positions">Each token's row in the tables.</param>
    /// <param name="half">Half of the elements that are turned.</param>
    /// <param name="pairs">Neighbouring elements turn together; else an element of the first half and one of the second.</param>
    /// <param name="inverse">Turns back.</param>
    /// <param name="tokens">Tokens.</param>
    void Rotate(Place x, int stride, int heads, int size, Place cos, Place sin, Place positions, int half, bool pairs, bool inverse, long tokens);

    /// <summary>activated = act(gate) up (rows, width); without gates act(x), x lying in the gate's place.</summary>
    void Gate(GateShape shape, Place gate, Place up, Place activated, long rows);

    /// <summary>Puts the gradients of gate and up in their places.</summary>
    void GateBackward(GateShape shape, Place gate, Place up, Place gradient, long rows);

    /// <summary>y = x sigmoid(x); y may be x.</summary>
    void Silu(Place x, long count, Place y);

    /// <summary>dx = dy times the slope at x; dx may be either.</summary>
    void SiluBackward(Place x, Place dy, long count, Place dx);

    /// <summary>y = x sigmoid(gate), value by value; y may be x.</summary>
    void GateValues(Place gate, Place x, long count, Place y);

    /// <summary>The gradients of <see cref="GateValues"/>; that of x may be written over dy, and that of the gate over the gate.</summary>
    void GateValuesBackward(Place gate, Place x, Place dy, long count, Place dx, Place dgate);

    /// <summary>Each row of x times a number of its own.</summary>
    void ScaleRows(Place x, long stride, int width, Place factors, long rows);

    /// <summary>x cut off at the limit and its negative.</summary>
    void Clamp(Place x, long count, float limit);

    /// <summary>dx = 0 where x, cut off or not yet, lies at the limit or its negative or beyond.</summary>
    void ClampBackward(Place x, long count, float limit, Place dx);

    /// <summary>Exact causal attention within segments: the output and the log-sums.</summary>
    /// <param name="room">Scratch.</param>
    /// <param name="starts">First token of each segment, and the number of tokens.</param>
    /// <param name="layer">The operands.</param>
    void Attention(PassMemory room, int[] starts, LayerAttention layer);

    /// <summary>The same for tokens that continue texts: they see their text's keys and values, theirs among them.</summary>
    /// <param name="room">Scratch.</param>
    /// <param name="starts">First new token of each text, and the number of tokens.</param>
    /// <param name="layer">The operands of the new tokens.</param>
    /// <param name="texts">Keys and values of the texts.</param>
    void ContinueAttention(PassMemory room, int[] starts, LayerAttention layer, HeldTokens[] texts);

    /// <summary>Gradients of queries, keys and values from that of the output (T, query width); all targets are overwritten.</summary>
    void AttentionBackward(PassMemory room, int[] starts, LayerAttention layer, Place gradient, Place dq, Place dk, Place dv);

    /// <summary>x = cap tanh(x / cap) of logits, where the model has a cap.</summary>
    void CapLogits(Place logits, long rows);

    /// <summary>Type of the losses: float64, or float32 where the device has none wider.</summary>
    ElementType LossType { get; }

    /// <summary>Cross entropy of rows of logits (not yet capped): the losses, and over the logits their gradient times each row's factor and the
    /// scale.</summary>
    /// <param name="room">Scratch.</param>
    /// <param name="logits">(rows, vocabulary).</param>
    /// <param name="rows">Rows.</param>
    /// <param name="targets">Right id of each row.</param>
    /// <param name="factors">Weight of each row.</param>
    /// <param name="losses">Unweighted loss of each row, of <see cref="LossType"/>.</param>
    /// <param name="scale">Multiplier of the gradient; null leaves it out.</param>
    /// <param name="smoothing">Share of the target that is spread over all ids.</param>
    /// <param name="means">Mean logit of each row, of <see cref="LossType"/>; none leaves it out.</param>
    void CrossEntropy(PassMemory room, Place logits, long rows, Place targets, Place factors, Place losses, double? scale, double smoothing, Place means);
}
