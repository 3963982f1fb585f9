namespace Trainer.Data.Storage;

/// <summary>What is known of each example without its tokens. Columns, not objects: a million rows are a few arrays.</summary>
internal sealed class RowIndex
{
    public List<long> Position { get; } = [];
    public List<int> Length { get; } = [];
    public List<int> Trained { get; } = [];
    public List<float> Weight { get; } = [];
    public List<int> File { get; } = [];
    public List<long> Line { get; } = [];
    public List<ulong> Check { get; } = [];

    public int Count => Length.Count;

    public void Add(long position, int[] ids, int[] labels, int trained, float weight, int file, long line)
    {
        Position.Add(position);
        Length.Add(ids.Length);
        Trained.Add(trained);
        Weight.Add(weight);
        File.Add(file);
        Line.Add(line);
        Check.Add(Checksum.Of(ids, labels));
    }
}
