using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>The gated delta rule of one value head, a chunk of tokens at a time, forward and backward.</summary>
/// <remarks>
/// With d the sums of g in the chunk, e = exp(d), r = exp(d_last - d), D_ij = exp(d_i - d_j), and S the state before it:
/// <code>
/// (I + A) N = b (v - e k S),  A_ij = b_i (k_i . k_j) D_ij below the diagonal
/// o = e q S + P N,  P_ij = (q_i . k_j) D_ij up to the diagonal;  S' = e_last S + (r k)^T N
/// </code>
/// Backward, with R = (I + A)^-T dN and all d.. gradients:
/// <code>
/// dN = P^T do + r k dS';  dP = do N^T;  dA = -R N^T;  dv = b R;  dS = e_last dS' + q^T (e do) - k^T (b e R)
/// </code>
/// </remarks>
internal sealed unsafe class DeltaHead
{
    private const float Epsilon = 1e-6f;
    private readonly int _dk, _dv;
    private readonly float* _states, _stateGradient;
    private readonly float* _query, _key, _faded, _queryGradient, _keyGradient, _fadedGradient;
    private readonly float* _seen, _change, _queried, _changeGradient, _upper, _seenGradient;
    private readonly float* _products, _fades, _weights, _scores, _weightGradient, _systemGradient;
    private readonly float* _inverseQuery, _inverseKey, _sums, _grown, _rest, _strength, _strengthGradient, _sumGradient, _grownGradient;
    private readonly float _scale;

    /// <summary>A head of these sizes.</summary>
    /// <param name="blocks">Sizes.</param>
    /// <param name="scratch">Room of <see cref="DeltaBlocks.Scratch"/> floats.</param>
    public DeltaHead(DeltaBlocks blocks, float* scratch)
    {
        (_dk, _dv, _scale) = ((int)blocks.KeySize, (int)blocks.ValueSize, (float)(1 / Math.Sqrt(blocks.KeySize)));
        var next = scratch;
        float* Take(long floats)
        {
            var at = next;
            next += floats;
            return at;
        }
        const long Chunk = DeltaBlocks.Chunk;
        _states = Take((blocks.Chunks + 1) * blocks.State);
        _stateGradient = Take(blocks.State);
        (var keys, var values, var pairs) = (Chunk * _dk, Chunk * _dv, DeltaBlocks.Pairs);
        _query = Take(keys);
        _key = Take(keys);
        _faded = Take(keys);
        _queryGradient = Take(keys);
        _keyGradient = Take(keys);
        _fadedGradient = Take(keys);
        _seen = Take(values);
        _change = Take(values);
        _queried = Take(values);
        _changeGradient = Take(values);
        _upper = Take(values);
        _seenGradient = Take(values);
        _products = Take(pairs);
        _fades = Take(pairs);
        _weights = Take(pairs);
        _scores = Take(pairs);
        _weightGradient = Take(pairs);
        _systemGradient = Take(pairs);
        _inverseQuery = Take(Chunk);
        _inverseKey = Take(Chunk);
        _sums = Take(Chunk);
        _grown = Take(Chunk);
        _rest = Take(Chunk);
        _strength = Take(Chunk);
        _strengthGradient = Take(Chunk);
        _sumGradient = Take(Chunk);
        _grownGradient = Take(Chunk);
    }

    /// <summary>Outputs of a segment.</summary>
    /// <param name="x">Operands of the head, at the segment's first token.</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="output">The head's output at the first token, in rows of <paramref name="stride"/> floats.</param>
    /// <param name="stride">Floats from a row to the next.</param>
    /// <param name="state">State before the segment, becomes the one behind it; null begins with zeros.</param>
    public void Forward(in DeltaRows x, int tokens, float* output, long stride, float* state)
    {
        var current = _states;
        if (state == null) new Span<float>(current, _dk * _dv).Clear();
        else new ReadOnlySpan<float>(state, _dk * _dv).CopyTo(new Span<float>(current, _dk * _dv));
        for (var begin = 0; begin < tokens; begin += DeltaBlocks.Chunk)
        {
            var count = Math.Min(DeltaBlocks.Chunk, tokens - begin);
            Load(x, begin, count);
            Solve(x, begin, count, current);
            Weigh(count, current);
            var target = output + begin * stride;
            for (var i = 0; i < count; i++)
                for (var c = 0; c < _dv; c++) target[i * stride + c] = _grown[i] * _queried[(long)i * _dv + c];
            Gemm.Times(count, _dv, count, 1f, _weights, count, _change, _dv, 1f, target, stride);
            Advance(count, current);
        }
        if (state != null) new ReadOnlySpan<float>(current, _dk * _dv).CopyTo(new Span<float>(state, _dk * _dv));
    }

    /// <summary>Gradients of a segment that begins with a state of zeros.</summary>
    /// <param name="x">Operands.</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="gradient">That of the head's output, in rows of <paramref name="stride"/> floats.</param>
    /// <param name="stride">Floats from a row to the next.</param>
    /// <param name="dx">Where the operands' gradients lie: those of queries and keys are added, the others written.</param>
    public void Backward(in DeltaRows x, int tokens, float* gradient, long stride, in DeltaRows dx)
    {
        var chunks = (tokens + DeltaBlocks.Chunk - 1) / DeltaBlocks.Chunk;
        var size = (long)_dk * _dv;
        new Span<float>(_states, (int)size).Clear();
        for (var c = 0; c + 1 < chunks; c++)
        {
            var next = _states + (c + 1) * size;
            new ReadOnlySpan<float>(_states + c * size, (int)size).CopyTo(new Span<float>(next, (int)size));
            Load(x, c * DeltaBlocks.Chunk, DeltaBlocks.Chunk);
            Solve(x, c * DeltaBlocks.Chunk, DeltaBlocks.Chunk, _states + c * size);
            Advance(DeltaBlocks.Chunk, next);
        }
        new Span<float>(_stateGradient, (int)size).Clear();
        for (var c = chunks - 1; c >= 0; c--)
        {
            var begin = c * DeltaBlocks.Chunk;
            var count = Math.Min(DeltaBlocks.Chunk, tokens - begin);
            Load(x, begin, count);
            Solve(x, begin, count, _states + c * size);
            Weigh(count, _states + c * size);
            BackwardChunk(x, begin, count, _states + c * size, gradient + begin * stride, stride, dx);
        }
    }

    // Unit queries (scaled) and keys, strengths, and what the decays come to.
    private void Load(in DeltaRows x, int begin, int count)
    {
        var sum = 0f;
        for (var i = 0; i < count; i++)
        {
            _inverseQuery[i] = Unit(x.Query + (begin + i) * x.Stride, _query + (long)i * _dk, _scale);
            _inverseKey[i] = Unit(x.Key + (begin + i) * x.Stride, _key + (long)i * _dk, 1f);
            _strength[i] = 1f / (1f + Exponential.Of(-x.Strength[(begin + i) * x.Heads]));
            sum += x.Decay * SoftPlus(x.Step[(begin + i) * x.Heads] + x.Shift);
            _sums[i] = sum;
        }
        for (var i = 0; i < count; i++)
        {
            (_grown[i], _rest[i]) = (Exponential.Of(_sums[i]), Exponential.Of(_sums[count - 1] - _sums[i]));
            for (var c = 0; c < _dk; c++) _faded[(long)i * _dk + c] = _rest[i] * _key[(long)i * _dk + c];
            for (var j = 0; j < count; j++) _fades[i * count + j] = j <= i ? Exponential.Of(_sums[i] - _sums[j]) : 0f;
        }
    }

    private float Unit(float* from, float* to, float scale)
    {
        var inverse = 1f / MathF.Sqrt(Arithmetic.Dot(from, from, _dk) + Epsilon);
        for (var c = 0; c < _dk; c++) to[c] = from[c] * inverse * scale;
        return inverse;
    }

    // What the chunk changes of the state, N, by forward substitution.
    private void Solve(in DeltaRows x, int begin, int count, float* state)
    {
        Gemm.TimesTransposed(count, count, _dk, 1f, _key, _dk, _key, _dk, 0f, _products, count);
        Gemm.Times(count, _dv, _dk, 1f, _key, _dk, state, _dv, 0f, _seen, _dv);
        for (var i = 0; i < count; i++)
        {
            float* value = x.Value + (begin + i) * x.Stride, seen = _seen + (long)i * _dv, change = _change + (long)i * _dv;
            for (var c = 0; c < _dv; c++) change[c] = _strength[i] * (value[c] - _grown[i] * seen[c]);
            for (var j = 0; j < i; j++) Arithmetic.AddScaled(change, _change + (long)j * _dv, -System(i, j, count), change, 0, _dv);
        }
    }

    private float System(int i, int j, int count) => _strength[i] * _products[i * count + j] * _fades[i * count + j];

    // What queries make of the state, and of the chunk's own changes.
    private void Weigh(int count, float* state)
    {
        Gemm.TimesTransposed(count, count, _dk, 1f, _query, _dk, _key, _dk, 0f, _scores, count);
        Arithmetic.Product(_scores, _fades, _weights, 0, (long)count * count);
        Gemm.Times(count, _dv, _dk, 1f, _query, _dk, state, _dv, 0f, _queried, _dv);
    }

    private void Advance(int count, float* state) => Gemm.TransposedTimes(_dk, _dv, count, 1f, _faded, _dk, _change, _dv, _grown[count - 1], state, _dv);

    private void BackwardChunk(in DeltaRows x, int begin, int count, float* state, float* gradient, long stride, in DeltaRows dx)
    {
        var last = _grown[count - 1];
        Gemm.TransposedTimes(count, _dv, count, 1f, _weights, count, gradient, stride, 0f, _changeGradient, _dv);
        Gemm.Times(count, _dv, _dk, 1f, _faded, _dk, _stateGradient, _dv, 1f, _changeGradient, _dv);
        Gemm.TimesTransposed(count, count, _dv, 1f, gradient, stride, _change, _dv, 0f, _weightGradient, count);
        Gemm.TimesTransposed(count, _dk, _dv, 1f, _change, _dv, _stateGradient, _dv, 0f, _fadedGradient, _dk);
        for (var j = count - 1; j > 0; j--)
            for (var i = 0; i < j; i++)
                Arithmetic.AddScaled(_changeGradient + (long)i * _dv, _changeGradient + (long)j * _dv, -System(j, i, count), _changeGradient + (long)i * _dv, 0,
                    _dv);
        Gemm.TimesTransposed(count, count, _dv, -1f, _changeGradient, _dv, _change, _dv, 0f, _systemGradient, count);
        Rows(x, begin, count, gradient, stride, dx);
        _sumGradient[count - 1] += last * Arithmetic.Dot(_stateGradient, state, _dk * _dv);
        Gemm.TimesTransposed(count, _dk, _dv, 1f, _upper, _dv, state, _dv, 0f, _queryGradient, _dk);
        Gemm.TimesTransposed(count, _dk, _dv, 1f, _seenGradient, _dv, state, _dv, 1f, _keyGradient, _dk);
        Gemm.TransposedTimes(_dk, _dv, count, 1f, _query, _dk, _upper, _dv, last, _stateGradient, _dv);
        Gemm.TransposedTimes(_dk, _dv, count, 1f, _key, _dk, _seenGradient, _dv, 1f, _stateGradient, _dv);
        Pairs(count);
        Gemm.Times(count, _dk, count, 1f, _weightGradient, count, _key, _dk, 1f, _queryGradient, _dk);
        Gemm.TransposedTimes(count, _dk, count, 1f, _weightGradient, count, _query, _dk, 1f, _keyGradient, _dk);
        Gemm.Times(count, _dk, count, 1f, _systemGradient, count, _key, _dk, 1f, _keyGradient, _dk);
        Gemm.TransposedTimes(count, _dk, count, 1f, _systemGradient, count, _key, _dk, 1f, _keyGradient, _dk);
        Store(x, begin, count, dx);
    }

    // Gradients that go token by token: of values, strengths and decays, and what flows into the products with the state.
    private void Rows(in DeltaRows x, int begin, int count, float* gradient, long stride, in DeltaRows dx)
    {
        new Span<float>(_sumGradient, count).Clear();
        for (var i = 0; i < count; i++)
        {
            long values = (long)i * _dv, keys = (long)i * _dk;
            float* change = _changeGradient + values, upper = gradient + i * stride, target = dx.Value + (begin + i) * dx.Stride;
            var (strength, grown, rest) = (_strength[i], _grown[i], _rest[i]);
            var seen = Arithmetic.Dot(change, _seen + values, _dv);
            _strengthGradient[i] = Arithmetic.Dot(change, x.Value + (begin + i) * x.Stride, _dv) - grown * seen;
            _sumGradient[i] += grown * (Arithmetic.Dot(upper, _queried + values, _dv) - strength * seen);
            for (var c = 0; c < _dv; c++)
            {
                target[c] = strength * change[c];
                _upper[values + c] = grown * upper[c];
                _seenGradient[values + c] = -strength * grown * change[c];
            }
            var faded = rest * Arithmetic.Dot(_key + keys, _fadedGradient + keys, _dk);
            _sumGradient[i] -= faded;
            _sumGradient[count - 1] += faded;
            for (var c = 0; c < _dk; c++) _keyGradient[keys + c] = rest * _fadedGradient[keys + c];
        }
    }

    // Gradients that go pair by pair; those of weights and system become those of the products of queries and keys, and of keys among themselves.
    private void Pairs(int count)
    {
        for (var i = 0; i < count; i++)
        {
            for (var j = 0; j < count; j++)
            {
                var at = i * count + j;
                if (j > i)
                {
                    (_weightGradient[at], _systemGradient[at]) = (0f, 0f);
                    continue;
                }
                var system = j < i ? _systemGradient[at] * _fades[at] : 0f;
                _strengthGradient[i] += system * _products[at];
                var fade = _weightGradient[at] * _weights[at] + system * _strength[i] * _products[at];
                _sumGradient[i] += fade;
                _sumGradient[j] -= fade;
                _weightGradient[at] *= _fades[at];
                _systemGradient[at] = system * _strength[i];
            }
        }
    }

    private void Store(in DeltaRows x, int begin, int count, in DeltaRows dx)
    {
        var sum = 0f;
        for (var i = count - 1; i >= 0; i--)
        {
            var at = begin + i;
            sum += _sumGradient[i];
            dx.Strength[at * dx.Heads] = _strengthGradient[i] * _strength[i] * (1f - _strength[i]);
            dx.Step[at * dx.Heads] = sum * x.Decay / (1f + Exponential.Of(-(x.Step[at * x.Heads] + x.Shift)));
            AddUnitGradient(_query + (long)i * _dk, _queryGradient + (long)i * _dk, _inverseQuery[i], _scale, dx.Query + at * dx.Stride);
            AddUnitGradient(_key + (long)i * _dk, _keyGradient + (long)i * _dk, _inverseKey[i], 1f, dx.Key + at * dx.Stride);
        }
    }

    // unit = scale x / |x|
    private void AddUnitGradient(float* unit, float* gradient, float inverse, float scale, float* target)
    {
        var along = Arithmetic.Dot(unit, gradient, _dk) / (scale * scale);
        for (var c = 0; c < _dk; c++) target[c] += scale * inverse * (gradient[c] - along * unit[c]);
    }

    private static float SoftPlus(float x) => x > 20f ? x : (float)Math.Log(1 + Math.Exp(x));
}
