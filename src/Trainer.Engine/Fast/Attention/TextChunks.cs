using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast.Attention;

/// <summary>Attention within blocks of so many positions is attention within shorter segments.</summary>
internal static class TextChunks
{
    /// <summary>Borders of the blocks of segments that begin at position 0.</summary>
    /// <param name="starts">First token of each segment, and the number of tokens.</param>
    /// <param name="chunk">Positions of a block.</param>
    public static int[] Cut(int[] starts, int chunk)
    {
        var cut = new List<int>();
        for (var s = 0; s + 1 < starts.Length; s++)
            for (var at = starts[s]; at < starts[s + 1]; at += chunk) cut.Add(at);
        return [.. cut, starts[^1]];
    }

    /// <summary>The same of tokens that continue texts: each part sees the tokens of its block that are held.</summary>
    /// <param name="starts">First new token of each text, and the number of tokens.</param>
    /// <param name="texts">What each text holds.</param>
    /// <param name="chunk">Positions of a block.</param>
    /// <param name="width">Floats of a token's keys, and of its values.</param>
    public static (int[] Starts, HeldTokens[] Texts) Cut(int[] starts, HeldTokens[] texts, int chunk, long width)
    {
        var (cut, parts) = (new List<int>(), new List<HeldTokens>());
        for (var s = 0; s < texts.Length; s++)
        {
            for (var at = starts[s]; at < starts[s + 1];)
            {
                var position = texts[s].Count + at - starts[s];
                var begin = position / chunk * chunk;
                cut.Add(at);
                parts.Add(new HeldTokens(texts[s].Keys + begin * width, texts[s].Values + begin * width, position - begin));
                at += begin + chunk - position;
            }
        }
        return ([.. cut, starts[^1]], [.. parts]);
    }
}
