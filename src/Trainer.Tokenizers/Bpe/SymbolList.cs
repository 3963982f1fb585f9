namespace Trainer.Tokenizers.Bpe;

/// <summary>The symbols of one piece while it is merged: token ids and how many UTF-16 units each covers.</summary>
internal sealed class SymbolList
{
    private int[] _ids = new int[256];
    private int[] _begins = new int[256];
    private int[] _ends = new int[256];
    private int[] _next = new int[256];
    private int[] _previous = new int[256];
    private int[] _ranks = new int[256];
    private ulong[] _heap = new ulong[64];
    private int _heapCount;

    public int Count { get; private set; }

    public int Id(int index) => _ids[index];

    public int Begin(int index) => _begins[index];

    public int End(int index) => _ends[index];

    public void Clear() => Count = 0;

    /// <summary>Adds a symbol over the units from begin to end (several byte symbols may share the units of one letter).</summary>
    public void Add(int id, int begin, int end)
    {
        if (Count == _ids.Length)
            Grow();
        _ids[Count] = id;
        _begins[Count] = begin;
        _ends[Count++] = end;
    }

    /// <summary>Merges pairs, lowest rank first and leftmost among equals, until none is left.</summary>
    public void Merge(MergeTable merges)
    {
        if (Count < 2)
            return;
        if (Count <= 40)
            MergeShort(merges);
        else
            MergeLong(merges);
    }

    // A short piece: look through all ranks each time; no queue pays off here.
    private void MergeShort(MergeTable merges)
    {
        var count = Count;
        var ranks = _ranks;
        var ids = _ids;
        for (var i = 0; i + 1 < count; i++)
            ranks[i] = merges.Rank(ids[i], ids[i + 1]);
        while (count > 1)
        {
            var best = MergeTable.None;
            var at = -1;
            for (var i = 0; i + 1 < count; i++)
            {
                if (ranks[i] < best)
                    (best, at) = (ranks[i], i);
            }
            if (at < 0)
                break;
            ids[at] = merges.Product(ids[at], ids[at + 1]);
            _ends[at] = _ends[at + 1];
            var moved = count - at - 2;
            Array.Copy(ids, at + 2, ids, at + 1, moved);
            Array.Copy(_begins, at + 2, _begins, at + 1, moved);
            Array.Copy(_ends, at + 2, _ends, at + 1, moved);
            if (moved > 0)
                Array.Copy(ranks, at + 2, ranks, at + 1, moved - 1);
            count--;
            if (at > 0)
                ranks[at - 1] = merges.Rank(ids[at - 1], ids[at]);
            if (at + 1 < count)
                ranks[at] = merges.Rank(ids[at], ids[at + 1]);
        }
        Count = count;
    }

    // A long piece: a linked list, and a heap of rank and position packed in one word. An entry is stale when the rank at its position has changed.
    private void MergeLong(MergeTable merges)
    {
        var (ids, next, previous, ranks) = (_ids, _next, _previous, _ranks);
        _heapCount = 0;
        for (var i = 0; i < Count; i++)
        {
            next[i] = i + 1 < Count ? i + 1 : -1;
            previous[i] = i - 1;
            ranks[i] = i + 1 < Count ? merges.Rank(ids[i], ids[i + 1]) : MergeTable.None;
            if (ranks[i] != MergeTable.None)
                Append(Pack(ranks[i], i));
        }
        for (var i = (_heapCount - 2) / 4; i >= 0; i--)
            Sink(i);
        while (_heapCount > 0)
        {
            var top = Pop();
            var at = (int)(top & 0xFFFFFFFF);
            if (ranks[at] != (int)(top >> 32))
                continue;
            var right = next[at];
            ids[at] = merges.Product(ids[at], ids[right]);
            _ends[at] = _ends[right];
            ranks[right] = MergeTable.None;
            ids[right] = -1;
            next[at] = next[right];
            if (next[at] >= 0)
                previous[next[at]] = at;
            ranks[at] = next[at] >= 0 ? merges.Rank(ids[at], ids[next[at]]) : MergeTable.None;
            if (ranks[at] != MergeTable.None)
                Push(Pack(ranks[at], at));
            if (previous[at] is >= 0 and var before)
            {
                ranks[before] = merges.Rank(ids[before], ids[at]);
                if (ranks[before] != MergeTable.None)
                    Push(Pack(ranks[before], before));
            }
        }
        Compact();
    }

    private void Compact()
    {
        var count = 0;
        for (var i = 0; i < Count; i++)
        {
            if (_ids[i] < 0)
                continue;
            (_ids[count], _begins[count], _ends[count]) = (_ids[i], _begins[i], _ends[i]);
            count++;
        }
        Count = count;
    }

    private static ulong Pack(int rank, int position) => ((ulong)(uint)rank << 32) | (uint)position;

    private void Append(ulong entry)
    {
        if (_heapCount == _heap.Length)
            Array.Resize(ref _heap, _heapCount * 2);
        _heap[_heapCount++] = entry;
    }

    private void Push(ulong entry)
    {
        Append(entry);
        var heap = _heap;
        var i = _heapCount - 1;
        while (i > 0)
        {
            var parent = (i - 1) / 4;
            if (heap[parent] <= entry)
                break;
            heap[i] = heap[parent];
            i = parent;
        }
        heap[i] = entry;
    }

    private ulong Pop()
    {
        var top = _heap[0];
        _heap[0] = _heap[--_heapCount];
        Sink(0);
        return top;
    }

    private void Sink(int i)
    {
        if (i >= _heapCount)
            return;
        var heap = _heap;
        var entry = heap[i];
        while (true)
        {
            var first = i * 4 + 1;
            if (first >= _heapCount)
                break;
            var least = first;
            var last = Math.Min(first + 4, _heapCount);
            for (var k = first + 1; k < last; k++)
            {
                if (heap[k] < heap[least])
                    least = k;
            }
            if (heap[least] >= entry)
                break;
            heap[i] = heap[least];
            i = least;
        }
        heap[i] = entry;
    }

    private void Grow()
    {
        var size = Count * 2;
        Array.Resize(ref _ids, size);
        Array.Resize(ref _begins, size);
        Array.Resize(ref _ends, size);
        Array.Resize(ref _next, size);
        Array.Resize(ref _previous, size);
        Array.Resize(ref _ranks, size);
    }
}
