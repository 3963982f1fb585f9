using Trainer.Training.Answers;

namespace Trainer.Engine.Tests.Answers;

/// <summary>Answers and the wanted ones, scored by hand: F1 as SQuAD's script has it, ROUGE-L as the paper.</summary>
public sealed class AnswerMetricsTests
{
    [Theory]
    [InlineData("exact_match", " Paris\n", "Paris", 1)]
    [InlineData("exact_match", "New  York", "New York", 1)]
    [InlineData("exact_match", "paris", "Paris", 0)]
    [InlineData("contains", "It is PARIS, of course.", "Paris", 1)]
    [InlineData("contains", "It is Rome.", "Paris", 0)]
    [InlineData("f1", "the quick brown fox", "a quick red fox", 2.0 / 3)]
    [InlineData("f1", "The Eiffel Tower!", "eiffel tower", 1)]
    [InlineData("f1", "fox fox fox", "fox", 0.5)]
    [InlineData("f1", "the", "", 1)]
    [InlineData("f1", "", "fox", 0)]
    [InlineData("rouge_l", "police kill the gunman", "police killed the gunman", 0.75)]
    [InlineData("rouge_l", "the gunman kill police", "police killed the gunman", 0.5)]
    [InlineData("rouge_l", "the gunman police killed", "police killed the gunman", 0.5)]
    [InlineData("rouge_l", "a a b", "a b a c", 4.0 / 7)]
    [InlineData("rouge_l", "Größe ist alles", "größe ist nichts", 2.0 / 3)]
    [InlineData("json_valid", """{"a": [1, 2]}""", "", 1)]
    [InlineData("json_valid", "{'a': 1}", "", 0)]
    [InlineData("json_valid", "", "", 0)]
    [InlineData("choice", "B", "B", 1)]
    [InlineData("choice", "(c) because", "C", 1)]
    [InlineData("choice", "The answer is D.", "D) Rome", 1)]
    [InlineData("choice", "the answer is a banana, so C", "C", 1)]
    [InlineData("choice", "A banana grows in B", "B", 1)]
    [InlineData("choice", "A banana", "A", 0)]
    [InlineData("choice", "I think it is C", "C", 1)]
    public void An_answer_has_the_score_that_was_worked_out_by_hand(string metric, string answer, string reference, double expected) =>
        Assert.Equal(expected, AnswerMetrics.Score(metric, answer, reference), 12);

    [Theory]
    [InlineData("number", "18 and then 1,234.50 dollars.", "1234.5")]
    [InlineData("number", "It costs $-3.0!", "-3")]
    [InlineData("number", "none", null)]
    [InlineData("####", "so 3 + 4\n#### 7,000", "7000")]
    [InlineData("gsm8k", "#### 1\nno\n#### 42.\nthat was it", "42")]
    [InlineData("boxed", @"thus \boxed{\frac{1}{2}}", @"\frac{1}{2}")]
    [InlineData("answer: (\\w+)", "answer: no\nanswer: yes", "yes")]
    [InlineData("[A-Z]+", "a BC d", "BC")]
    [InlineData("(a+)+b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", null)]
    public void A_pattern_finds_the_part_that_is_compared(string pattern, string text, string? expected) =>
        Assert.Equal(expected, new AnswerPattern(pattern).Find(text));

    [Fact]
    public void An_answer_without_the_part_is_wrong_and_a_bare_reference_is_the_part()
    {
        var judge = new AnswerJudge(["exact_match", "json_valid"], "number");
        Assert.Equal([1, 0], judge.Scores("that makes 12.0", "12"));
        Assert.Equal([0, 0], judge.Scores("I do not know", "12"));
        Assert.Equal([1, 1], judge.Scores("12", "3 x 4\n#### 12"));
        Assert.NotNull(AnswerPattern.Fault("("));
    }
}
