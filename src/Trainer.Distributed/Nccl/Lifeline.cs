using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Trainer.Distributed.Nccl;

/// <summary>
/// A connection of every rank with rank 0. It hands NCCL's identifier out at the start, and as it closes with its process it tells the others
/// at once that one of them ended: NCCL itself would leave them waiting.
/// </summary>
internal sealed class Lifeline : IDisposable
{
    private const long Greeting = 0x31_6b_6e_61_72_6c_63_6e;
    private const int GreetingBytes = 16, Farewell = -1;
    private static readonly TimeSpan LongestStart = TimeSpan.FromMinutes(10), LongestGreeting = TimeSpan.FromSeconds(5);

    private readonly NcclPlace _place;

    // At rank 0 one for each rank but itself; elsewhere rank 0's alone. Null once a rank has said farewell.
    private readonly Socket?[] _others;

    private Lifeline(NcclPlace place)
    {
        _place = place;
        _others = new Socket?[place.Rank == 0 ? place.Size : 1];
    }

    /// <summary>Connects all ranks.</summary>
    /// <param name="place">This process's.</param>
    /// <param name="timeout">The longest wait for the others; ten minutes at most.</param>
    /// <exception cref="CollectiveException">The ranks did not find each other, or two claim the same place.</exception>
    public static Lifeline Join(NcclPlace place, TimeSpan timeout)
    {
        var line = new Lifeline(place);
        var limit = timeout < LongestStart ? timeout : LongestStart;
        try
        {
            if (place.Rank == 0) line.Listen(limit);
            else line.Connect(limit);
            return line;
        }
        catch
        {
            line.Break();
            throw;
        }
    }

    /// <summary>Gives every rank the bytes of rank 0.</summary>
    public void Share(Span<byte> bytes)
    {
        try
        {
            if (_place.Rank == 0) foreach (var other in _others) other?.Send(bytes);
            else Receive(_others[0]!, bytes);
        }
        catch (SocketException fault)
        {
            throw new CollectiveException($"rank {_place.Rank} of {_place.Size} lost the connection at the start: {fault.Message}", fault);
        }
    }

    /// <summary>Looks whether all ranks are still there.</summary>
    /// <exception cref="CollectiveException">Names the rank that ended.</exception>
    public void RequireAlive()
    {
        Span<byte> word = stackalloc byte[sizeof(int)];
        for (var at = 0; at < _others.Length; at++)
        {
            if (_others[at] is not { } other || !other.Poll(0, SelectMode.SelectRead)) continue;
            var lost = TryReceive(other, word) ? BinaryPrimitives.ReadInt32LittleEndian(word) : at;
            if (lost == Farewell)
            {
                other.Dispose();
                _others[at] = null;
                continue;
            }
            if (_place.Rank == 0) Tell(lost);
            throw new CollectiveException($"rank {lost} of {_place.Size} ended without a word: it was killed or failed; look at its own last lines, and "
                + "continue with --resume");
        }
    }

    /// <summary>Ends in peace: rank 0 stays until all others have left.</summary>
    public void Dispose()
    {
        var begun = Stopwatch.GetTimestamp();
        if (_place.Rank != 0) Tell(Farewell);
        else
        {
            while (_others.Any(other => other is not null) && Stopwatch.GetElapsedTime(begun) < LongestGreeting)
            {
                try
                {
                    RequireAlive();
                }
                catch (CollectiveException)
                {
                    // The work is done; a rank that ends badly now says so itself.
                    break;
                }
                Thread.Sleep(1);
            }
        }
        Break();
    }

    /// <summary>Ends without a word, which tells the others that this rank failed.</summary>
    public void Break()
    {
        foreach (var other in _others) other?.Dispose();
        Array.Clear(_others);
    }

    private void Listen(TimeSpan limit)
    {
        using var listener = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // A run that ended a moment ago leaves its port in waiting.
            listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            listener.Bind(new IPEndPoint(listener.AddressFamily == AddressFamily.InterNetworkV6 ? IPAddress.IPv6Any : IPAddress.Any, _place.Port));
            listener.Listen(_place.Size);
        }
        catch (SocketException fault)
        {
            throw new CollectiveException($"rank 0 cannot listen on port {_place.Port}: {fault.Message}; set MASTER_PORT to a free port", fault);
        }
        var begun = Stopwatch.GetTimestamp();
        for (var missing = _place.Size - 1; missing > 0;)
        {
            if (Stopwatch.GetElapsedTime(begun) > limit)
            {
                var absent = Enumerable.Range(1, _place.Size - 1).Where(rank => _others[rank] is null);
                throw new CollectiveException($"rank {string.Join(", ", absent)} of {_place.Size} did not come "
                    + $"to {_place.Address}:{_place.Port} within {limit.TotalSeconds:0} s");
            }
            if (listener.Poll(100_000, SelectMode.SelectRead) && Greeted(listener.Accept())) missing--;
        }
    }

    // Whoever does not greet as a rank of this run is sent away: a port is open to all of its network.
    private bool Greeted(Socket other)
    {
        Span<byte> greeting = stackalloc byte[GreetingBytes];
        other.ReceiveTimeout = (int)LongestGreeting.TotalMilliseconds;
        if (!TryReceive(other, greeting) || BinaryPrimitives.ReadInt64LittleEndian(greeting) != Greeting)
        {
            other.Dispose();
            return false;
        }
        var (rank, size) = (BinaryPrimitives.ReadInt32LittleEndian(greeting[8..]), BinaryPrimitives.ReadInt32LittleEndian(greeting[12..]));
        if (size != _place.Size || rank < 1 || rank >= size || _others[rank] is not null)
        {
            other.Dispose();
            throw new CollectiveException($"a process came as rank {rank} of {size} to a run of {_place.Size} ranks where that place is not free: start every "
                + "run with a MASTER_PORT of its own");
        }
        other.NoDelay = true;
        _others[rank] = other;
        return true;
    }

    private void Connect(TimeSpan limit)
    {
        Span<byte> greeting = stackalloc byte[GreetingBytes];
        BinaryPrimitives.WriteInt64LittleEndian(greeting, Greeting);
        BinaryPrimitives.WriteInt32LittleEndian(greeting[8..], _place.Rank);
        BinaryPrimitives.WriteInt32LittleEndian(greeting[12..], _place.Size);
        for (var begun = Stopwatch.GetTimestamp(); ;)
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                socket.Connect(_place.Address, _place.Port);
                socket.Send(greeting);
                _others[0] = socket;
                return;
            }
            catch (SocketException fault)
            {
                // Rank 0 may still be starting.
                socket.Dispose();
                if (Stopwatch.GetElapsedTime(begun) > limit)
                    throw new CollectiveException($"rank {_place.Rank} of {_place.Size} does not reach rank 0 "
                        + $"at {_place.Address}:{_place.Port}: {fault.Message}; set MASTER_ADDR and MASTER_PORT to where rank 0 runs", fault);
                Thread.Sleep(100);
            }
        }
    }

    private void Tell(int word)
    {
        Span<byte> bytes = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, word);
        foreach (var other in _others)
        {
            try
            {
                other?.Send(bytes);
            }
            catch (SocketException)
            {
                // Gone itself.
            }
        }
    }

    private static bool TryReceive(Socket socket, Span<byte> bytes)
    {
        try
        {
            Receive(socket, bytes);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static void Receive(Socket socket, Span<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var count = socket.Receive(bytes);
            if (count == 0) throw new SocketException((int)SocketError.ConnectionReset);
            bytes = bytes[count..];
        }
    }
}
