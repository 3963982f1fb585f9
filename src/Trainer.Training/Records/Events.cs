namespace Trainer.Training.Records;

/// <summary>Hands each record to every observer, in order.</summary>
internal sealed class Events(IReadOnlyList<ITrainingObserver> observers)
{
    private readonly List<ITrainingObserver> _observers = [.. observers];

    public void Add(ITrainingObserver observer) => _observers.Add(observer);

    public void Emit(TrainingEvent trainingEvent)
    {
        foreach (var observer in _observers) observer.On(trainingEvent);
    }

    public void Note(string text) => Emit(new Noted(text));

    public void Warn(string text) => Emit(new Noted(text, IsWarning: true));
}
