using System.Diagnostics;
using System.Text;
using Trainer.Tokenizers;

namespace Trainer.Cli.Generating;

/// <summary>The text of one answer as its tokens come: given out as it becomes certain, nothing of a stop string among it.</summary>
internal sealed class SpokenText
{
    private readonly StreamDecoder _decoder;
    private readonly StopFilter _filter;
    private readonly StringBuilder _text = new();
    private readonly Action<string> _say;
    private readonly int _promptTokens, _most;
    private readonly long _began = Stopwatch.GetTimestamp();
    private double _first;
    private int _count;

    /// <param name="tokenizer">The model's.</param>
    /// <param name="prompt">What the answer follows.</param>
    /// <param name="most">Tokens that it may have.</param>
    /// <param name="stops">Texts that end it.</param>
    /// <param name="say">Told each piece.</param>
    public SpokenText(HfTokenizer tokenizer, int[] prompt, int most, IReadOnlyList<string> stops, Action<string> say)
    {
        (_promptTokens, _most, _say) = (prompt.Length, most, say);
        // The prompt gives the decoder its context: a word's leading space belongs to the text only after something.
        _decoder = new StreamDecoder(tokenizer, skipSpecialTokens: true);
        _decoder.Prime(prompt);
        _filter = new StopFilter(stops);
    }

    /// <summary>Adds a token and says whether the text goes on: a stop string ends it.</summary>
    public bool Add(int token)
    {
        if (_count++ == 0) _first = Stopwatch.GetElapsedTime(_began).TotalSeconds;
        Give(_filter.Add(_decoder.Add(token)));
        return !_filter.HasStopped;
    }

    /// <summary>Gives out the rest.</summary>
    public Continuation End()
    {
        Give(_filter.Add(_decoder.Flush()));
        Give(_filter.Flush());
        var reason = _filter.HasStopped ? "stop" : _count < _most ? "end" : "length";
        return new Continuation(_text.ToString(), _count, reason, _promptTokens, _first, Stopwatch.GetElapsedTime(_began).TotalSeconds);
    }

    private void Give(string part)
    {
        if (part.Length == 0) return;
        _text.Append(part);
        _say(part);
    }
}
