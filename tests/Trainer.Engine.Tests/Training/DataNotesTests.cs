using Trainer.Data;
using Trainer.Training;
using Trainer.Training.Records;

namespace Trainer.Engine.Tests.Training;

[Trait("ring", "unit")]
public sealed class DataNotesTests
{
    private sealed class Recorder : ITrainingObserver
    {
        public List<Noted> Notes { get; } = [];

        public void On(TrainingEvent trainingEvent) => Notes.Add(Assert.IsType<Noted>(trainingEvent));
    }

    [Fact]
    public void Rows_that_are_left_out_or_cut_and_parts_that_nothing_reads_are_warned_of()
    {
        var recorder = new Recorder();
        var data = new DataStatistics
        {
            Rows = 9, Tokens = 80, TrainedTokens = 40, TruncatedRows = 2, EmptyAnswers = 1, Duplicates = 3,
            Dropped = new Dictionary<FaultKind, long> { [FaultKind.TooLong] = 4 }, IgnoredColumns = new Dictionary<string, long> { ["colour"] = 5 },
        };

        DataNotes.Tell(data, new Events([recorder]));

        Assert.Equal(
            ["4 rows left out: too long", "2 rows cut to --max-seq-length", "1 rows have an answer without text; 'trainer data check' names them",
            "not used: colour, 5 rows"],
            recorder.Notes.Where(note => note.IsWarning).Select(note => note.Text));
        Assert.Contains(recorder.Notes, note => note.Text.StartsWith("data: 9 rows, 80 tokens", StringComparison.Ordinal));
    }
}
