using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Trainer.Distributed;

/// <summary>What the operations of <see cref="ICollective"/> are used for.</summary>
public static class CollectiveExtensions
{
    /// <summary>Rank 0's text on every rank.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="text">Rank 0's; what others pass is not looked at.</param>
    public static string Share(this ICollective ranks, string text)
    {
        ArgumentNullException.ThrowIfNull(ranks);
        if (ranks.Size == 1) return text;
        var bytes = Encoding.UTF8.GetBytes(text);
        Span<byte> length = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, bytes.Length);
        ranks.Broadcast(length);
        if (ranks.Rank != 0) bytes = new byte[BinaryPrimitives.ReadInt32LittleEndian(length)];
        ranks.Broadcast(bytes);
        return Encoding.UTF8.GetString(bytes);
    }

    /// <summary>The first rank that holds other text than rank 0, or null where all agree. Every rank gets the same answer.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="text">This rank's.</param>
    public static int? FindDifference(this ICollective ranks, string text)
    {
        ArgumentNullException.ThrowIfNull(ranks);
        return ranks.FindDifference(Encoding.UTF8.GetBytes(text));
    }

    /// <summary>The first rank that holds other bytes than rank 0, or null where all agree; compared by their SHA-256.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="bytes">This rank's, of any length.</param>
    public static int? FindDifference(this ICollective ranks, ReadOnlySpan<byte> bytes)
    {
        ArgumentNullException.ThrowIfNull(ranks);
        if (ranks.Size == 1) return null;
        Span<byte> mine = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(bytes, mine);
        var all = new byte[ranks.Size * mine.Length];
        ranks.Gather(mine, all);
        for (var rank = 1; rank < ranks.Size; rank++)
            if (!all.AsSpan(rank * mine.Length, mine.Length).SequenceEqual(all.AsSpan(0, mine.Length))) return rank;
        return null;
    }

    /// <summary>The text of each rank, in rank order, on every rank.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="text">This rank's; of any length, or empty.</param>
    public static IReadOnlyList<string> Collect(this ICollective ranks, string text)
    {
        ArgumentNullException.ThrowIfNull(ranks);
        var mine = Encoding.UTF8.GetBytes(text);
        var lengths = new byte[ranks.Size * sizeof(int)];
        Span<byte> length = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(length, mine.Length);
        ranks.Gather(length, lengths);
        var each = Enumerable.Range(0, ranks.Size).Select(rank => BinaryPrimitives.ReadInt32LittleEndian(lengths.AsSpan(rank * sizeof(int)))).ToArray();
        var longest = each.Max();
        var all = new byte[ranks.Size * longest];
        Array.Resize(ref mine, longest);
        ranks.Gather(mine, all);
        return [.. each.Select((count, rank) => Encoding.UTF8.GetString(all, rank * longest, count))];
    }
}
