using Trainer.Cli.CommandLine;
using Trainer.Training;

namespace Trainer.Cli.Rendering;

/// <summary>Keeps what a signal is answered with true of the phase that a run is in.</summary>
internal sealed class StopWords(StopSignal stop) : ITrainingObserver
{
    private const string AtOnce = "once more to stop at once";

    public void On(TrainingEvent trainingEvent)
    {
        switch (trainingEvent)
        {
            case RunStarted started:
                stop.MustFinish = true;
                stop.Words = started.FirstStep == 0 ? $"stopping in the first step; {AtOnce}" : Saving;
                break;
            case StepDone:
                stop.Words = Saving;
                break;
            case PhaseProgressed { Phase: "saving the adapter" }:
                stop.Words = $"all steps are made and the adapter is being saved; {AtOnce}";
                break;
            default:
                break;
        }
    }

    private static string Saving => $"stopping after this step with a checkpoint; {AtOnce}";
}
