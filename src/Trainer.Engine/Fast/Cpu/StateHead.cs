using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Native;
using Trainer.Models.Parts;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>The state-space scan of one head, a chunk of tokens at a time, forward and backward.</summary>
/// <remarks>
/// With t the steps, d the sums of a t in the chunk, e = exp(d), r = exp(d_last - d), D_ij = exp(d_i - d_j), u = t x, and S the state before it:
/// <code>
/// y = e C S + P u + direct x,  P_ij = (C_i . B_j) D_ij up to the diagonal;  S' = e_last S + (r B)^T u
/// </code>
/// Backward, with all d.. gradients:
/// <code>
/// du = P^T dy + r B dS';  dP = dy u^T;  dC = e dy S^T + (dP D) B;  dB = (dP D)^T C + r u dS'^T;  dS = e_last dS' + C^T (e dy)
/// </code>
/// </remarks>
internal sealed unsafe class StateHead
{
    private readonly int _states, _size, _wide;
    private readonly float _least, _largest;
    private readonly float* _history, _stateGradient;
    private readonly float* _input, _inputGradient, _queried, _upper, _faded, _fadedGradient;
    private readonly float* _scores, _fades, _weights, _weightGradient;
    private readonly float* _steps, _sums, _grown, _rest, _sumGradient, _stepGradient;

    /// <summary>A head of these sizes.</summary>
    /// <param name="config">Sizes, and the bounds of steps.</param>
    /// <param name="blocks">How segments are cut.</param>
    /// <param name="scratch">Room of <see cref="StateBlocks.Scratch"/> floats.</param>
    public StateHead(Mamba2 config, StateBlocks blocks, float* scratch)
    {
        (_states, _size, _wide) = (config.StateSize, config.HeadSize, config.Channels);
        (_least, _largest) = ((float)config.LeastStep, (float)config.LargestStep);
        var next = scratch;
        float* Take(long floats)
        {
            var at = next;
            next += floats;
            return at;
        }
        const long Chunk = StateBlocks.Chunk;
        (var values, var keys, var pairs) = (Chunk * _size, Chunk * _states, StateBlocks.Pairs);
        _history = Take((blocks.Chunks + 1) * blocks.State);
        _stateGradient = Take(blocks.State);
        _input = Take(values);
        _inputGradient = Take(values);
        _queried = Take(values);
        _upper = Take(values);
        _faded = Take(keys);
        _fadedGradient = Take(keys);
        _scores = Take(pairs);
        _fades = Take(pairs);
        _weights = Take(pairs);
        _weightGradient = Take(pairs);
        _steps = Take(Chunk);
        _sums = Take(Chunk);
        _grown = Take(Chunk);
        _rest = Take(Chunk);
        _sumGradient = Take(Chunk);
        _stepGradient = Take(Chunk);
    }

    /// <summary>Outputs of a segment.</summary>
    /// <param name="x">Operands of the head, at the segment's first token.</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="output">The head's output at the first token, in rows of <paramref name="stride"/> floats.</param>
    /// <param name="stride">Floats from a row to the next.</param>
    /// <param name="state">State before the segment (state size, head size), becomes the one behind it; null begins with zeros.</param>
    public void Forward(in StateRows x, int tokens, float* output, long stride, float* state)
    {
        var floats = _states * _size;
        if (state == null) new Span<float>(_history, floats).Clear();
        else new ReadOnlySpan<float>(state, floats).CopyTo(new Span<float>(_history, floats));
        for (var begin = 0; begin < tokens; begin += StateBlocks.Chunk)
        {
            var count = Math.Min(StateBlocks.Chunk, tokens - begin);
            Load(x, begin, count);
            Weigh(x, begin, count, _history);
            var target = output + begin * stride;
            for (var i = 0; i < count; i++)
                for (var c = 0; c < _size; c++)
                    target[i * stride + c] = _grown[i] * _queried[(long)i * _size + c] + x.Direct * x.Value[(begin + i) * x.Stride + c];
            Gemm.Times(count, _size, count, 1f, _weights, count, _input, _size, 1f, target, stride);
            Advance(count, _history);
        }
        if (state != null) new ReadOnlySpan<float>(_history, floats).CopyTo(new Span<float>(state, floats));
    }

    /// <summary>Gradients of a segment that begins with a state of zeros.</summary>
    /// <param name="x">Operands.</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="gradient">That of the head's output, in rows of <paramref name="stride"/> floats.</param>
    /// <param name="stride">Floats from a row to the next.</param>
    /// <param name="dx">Where the operands' gradients lie: those of B and C are added, the others written.</param>
    public void Backward(in StateRows x, int tokens, float* gradient, long stride, in StateRows dx)
    {
        var chunks = (tokens + StateBlocks.Chunk - 1) / StateBlocks.Chunk;
        var floats = (long)_states * _size;
        new Span<float>(_history, (int)floats).Clear();
        for (var c = 0; c + 1 < chunks; c++)
        {
            var next = _history + (c + 1) * floats;
            new ReadOnlySpan<float>(_history + c * floats, (int)floats).CopyTo(new Span<float>(next, (int)floats));
            Load(x, c * StateBlocks.Chunk, StateBlocks.Chunk);
            Advance(StateBlocks.Chunk, next);
        }
        new Span<float>(_stateGradient, (int)floats).Clear();
        for (var c = chunks - 1; c >= 0; c--)
        {
            var begin = c * StateBlocks.Chunk;
            var count = Math.Min(StateBlocks.Chunk, tokens - begin);
            Load(x, begin, count);
            Weigh(x, begin, count, _history + c * floats);
            BackwardChunk(x, begin, count, _history + c * floats, gradient + begin * stride, stride, dx);
        }
    }

    // Steps, what the decays come to, values times their steps, and B faded towards the chunk's end.
    private void Load(in StateRows x, int begin, int count)
    {
        var sum = 0f;
        for (var i = 0; i < count; i++)
        {
            _steps[i] = Math.Clamp(SoftPlus(x.Step[(begin + i) * x.StepStride] + x.Shift), _least, _largest);
            _sums[i] = sum += x.Decay * _steps[i];
        }
        for (var i = 0; i < count; i++)
        {
            (_grown[i], _rest[i]) = (Exponential.Of(_sums[i]), Exponential.Of(_sums[count - 1] - _sums[i]));
            float* value = x.Value + (begin + i) * x.Stride, write = x.Write + (begin + i) * x.Stride;
            for (var c = 0; c < _size; c++) _input[(long)i * _size + c] = _steps[i] * value[c];
            for (var c = 0; c < _states; c++) _faded[(long)i * _states + c] = _rest[i] * write[c];
            for (var j = 0; j < count; j++) _fades[i * count + j] = j <= i ? Exponential.Of(_sums[i] - _sums[j]) : 0f;
        }
    }

    // What C makes of the state, and of the chunk's own values.
    private void Weigh(in StateRows x, int begin, int count, float* state)
    {
        float* read = x.Read + begin * x.Stride, write = x.Write + begin * x.Stride;
        Gemm.TimesTransposed(count, count, _states, 1f, read, _wide, write, _wide, 0f, _scores, count);
        Arithmetic.Product(_scores, _fades, _weights, 0, (long)count * count);
        Gemm.Times(count, _size, _states, 1f, read, _wide, state, _size, 0f, _queried, _size);
    }

    private void Advance(int count, float* state)
        => Gemm.TransposedTimes(_states, _size, count, 1f, _faded, _states, _input, _size, _grown[count - 1], state, _size);

    private void BackwardChunk(in StateRows x, int begin, int count, float* state, float* gradient, long stride, in StateRows dx)
    {
        float* read = x.Read + begin * x.Stride, write = x.Write + begin * x.Stride;
        float* readGradient = dx.Read + begin * dx.Stride, writeGradient = dx.Write + begin * dx.Stride;
        var last = _grown[count - 1];
        Gemm.TransposedTimes(count, _size, count, 1f, _weights, count, gradient, stride, 0f, _inputGradient, _size);
        Gemm.Times(count, _size, _states, 1f, _faded, _states, _stateGradient, _size, 1f, _inputGradient, _size);
        Gemm.TimesTransposed(count, count, _size, 1f, gradient, stride, _input, _size, 0f, _weightGradient, count);
        Gemm.TimesTransposed(count, _states, _size, 1f, _input, _size, _stateGradient, _size, 0f, _fadedGradient, _states);
        new Span<float>(_sumGradient, count).Clear();
        _sumGradient[count - 1] = last * Arithmetic.Dot(_stateGradient, state, _states * _size);
        for (var i = 0; i < count; i++)
        {
            long values = (long)i * _size, keys = (long)i * _states;
            var upper = gradient + i * stride;
            _sumGradient[i] += _grown[i] * Arithmetic.Dot(upper, _queried + values, _size);
            for (var c = 0; c < _size; c++) _upper[values + c] = _grown[i] * upper[c];
            var faded = _rest[i] * Arithmetic.Dot(write + i * x.Stride, _fadedGradient + keys, _states);
            _sumGradient[i] -= faded;
            _sumGradient[count - 1] += faded;
            Arithmetic.AddScaled(writeGradient + i * dx.Stride, _fadedGradient + keys, _rest[i], writeGradient + i * dx.Stride, 0, _states);
        }
        Gemm.TimesTransposed(count, _states, _size, 1f, _upper, _size, state, _size, 1f, readGradient, _wide);
        Gemm.TransposedTimes(_states, _size, count, 1f, read, _wide, _upper, _size, last, _stateGradient, _size);
        Pairs(count);
        Gemm.Times(count, _states, count, 1f, _weightGradient, count, write, _wide, 1f, readGradient, _wide);
        Gemm.TransposedTimes(count, _states, count, 1f, _weightGradient, count, read, _wide, 1f, writeGradient, _wide);
        Store(x, begin, count, gradient, stride, dx);
    }

    // Gradients that go pair by pair; those of weights become those of the products of C and B.
    private void Pairs(int count)
    {
        for (var i = 0; i < count; i++)
        {
            for (var j = 0; j < count; j++)
            {
                var at = i * count + j;
                if (j <= i)
                {
                    var fade = _weightGradient[at] * _weights[at];
                    _sumGradient[i] += fade;
                    _sumGradient[j] -= fade;
                }
                _weightGradient[at] *= _fades[at];
            }
        }
    }

    private void Store(in StateRows x, int begin, int count, float* gradient, long stride, in StateRows dx)
    {
        for (var i = 0; i < count; i++)
        {
            var at = begin + i;
            float* value = x.Value + at * x.Stride, target = dx.Value + at * dx.Stride, input = _inputGradient + (long)i * _size;
            _stepGradient[i] = Arithmetic.Dot(input, value, _size);
            for (var c = 0; c < _size; c++) target[c] = _steps[i] * input[c] + x.Direct * gradient[i * stride + c];
        }
        var sum = 0f;
        for (var i = count - 1; i >= 0; i--)
        {
            sum += _sumGradient[i];
            var raw = x.Step[(begin + i) * x.StepStride] + x.Shift;
            var step = SoftPlus(raw);
            // Where a step was cut off nothing flows back.
            dx.Step[(begin + i) * dx.StepStride] = step < _least || step > _largest
                ? 0f : (_stepGradient[i] + sum * x.Decay) / (1f + Exponential.Of(-raw));
        }
    }

    private static float SoftPlus(float x) => x > 20f ? x : (float)Math.Log(1 + Math.Exp(x));
}
