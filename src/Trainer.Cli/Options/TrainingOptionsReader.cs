using System.Globalization;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Machine;
using Trainer.Cli.Rendering;
using Trainer.Data;
using Trainer.Engine.Native;
using Trainer.Training;
using Trainer.Training.Options;

namespace Trainer.Cli.Options;

/// <summary>From what the user said to the immutable <see cref="TrainingOptions"/>; every fault is found before anything is loaded.</summary>
internal static class TrainingOptionsReader
{
    /// <param name="values">What the user said.</param>
    /// <param name="terminal">Decides how often a row is logged.</param>
    /// <param name="time">Names the run folder.</param>
    /// <param name="isPlan">A plan needs no weights and no data.</param>
    public static TrainingOptions Read(SettingValues values, Terminal terminal, TimeProvider time, bool isPlan = false)
    {
        var model = ModelReference.Read(values, needsWeights: !isPlan);
        var defaults = new TrainingOptions { Model = model.Name, ModelDirectory = model.Directory ?? "", Data = new DataOptions(),
            OutputDirectory = OutputDirectory(model.Name, time) };
        defaults = defaults with
        {
            LoggingSteps = terminal.IsLive ? 1 : defaults.LoggingSteps,
            // The embedded model knows one small world: text from outside it may surprise it more than guessing would.
            AllowHighLoss = model.Directory == Embedded.TinyModel,
        };
        var options = OptionReader.Read(values, defaults, Sources(values, SourceReader.Demo.Folder));
        options = options with { Data = Fitted(values, options.Data, model.Directory) };
        if (options.Resume is not (null or "auto") && !Directory.Exists(options.Resume))
            values.Fault($"{values.Origin(RunSettings.Resume)} '{options.Resume}': no such checkpoint folder; --resume alone takes the newest of --output-dir");
        if (!isPlan) Contradictions.RequireData(values, options);
        Contradictions.Find(values, options);
        // The most useful answer to a line that is right but for the model on this machine is how to get the model.
        if (model.Absence is not null && values.Faults.All(fault => fault == Contradictions.NoData))
            throw new CommandFailedException(ExitCode.Missing, model.Absence);
        values.ThrowIfFaulty();
        // A plan for a device of a stated size needs none here.
        if (!isPlan || options.DeviceMemoryBytes is null) ComputeDevice.Require(options.Device);
        if (!isPlan && values.Flag(RunSettings.DryRun) is not true) FirstUse.Require(options.Device, terminal);
        return NewTokens.Apply(options, text => terminal.Error.WriteLine("note: " + text));
    }

    /// <summary>Data options alone, fitted to a model as training does.</summary>
    /// <param name="values">Command line over recipe.</param>
    /// <param name="modelDirectory">The model's folder, or null where there is none.</param>
    public static DataOptions ReadTrainingData(SettingValues values, string? modelDirectory) => Fitted(values, ReadData(values), modelDirectory);

    public static DataOptions ReadData(SettingValues values, SourceReader.Demo demo = SourceReader.Demo.Folder)
    {
        var defaults = new TrainingOptions { Model = "", ModelDirectory = "", Data = new DataOptions(), OutputDirectory = "" };
        return OptionReader.Read(values, defaults, Sources(values, demo), TrainSettings.OfReaders).Data with { CacheDirectory = UserCache.Tokens };
    }

    /// <summary>Reads data sources; 'demo' is the embedded held-out file where held-out data is named.</summary>
    public static Func<Setting, IReadOnlyList<DataSource>> Sources(SettingValues values, SourceReader.Demo demo) =>
        setting => SourceReader.Read(values, setting, setting.Key == DataSettings.EvalData.Key ? SourceReader.Demo.HeldOut : demo);

    /// <summary>
    /// A length that fits the model where the user names none: its positions are not exceeded, and plain text, which loses nothing by it, is split.
    /// </summary>
    /// <param name="values">Command line over recipe.</param>
    /// <param name="data">What they say.</param>
    /// <param name="modelDirectory">The model's folder, or null where there is none.</param>
    public static DataOptions Fitted(SettingValues values, DataOptions data, string? modelDirectory)
    {
        data = data with { CacheDirectory = UserCache.Tokens };
        if (values.Has(DataSettings.MaxSeqLength)) return data;
        var positions = modelDirectory is null ? null : ModelPositions.Of(modelDirectory);
        return data with
        {
            MaxSeqLength = Math.Min(data.MaxSeqLength, positions ?? int.MaxValue),
            OnTooLong = values.Has(DataSettings.OnTooLong) ? data.OnTooLong : OnTooLong.Split,
        };
    }

    private static string OutputDirectory(string model, TimeProvider time)
    {
        var name = Path.GetFileName(model.TrimEnd('/'));
        var safe = string.Concat(name.Select(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_' or '.' ? letter : '-'));
        return Path.Combine("runs",
            $"{(safe.Trim('.').Length > 0 ? safe : "model")}-{time.GetLocalNow().ToString("yyyyMMdd-HHmmss", CultureInfo.InvariantCulture)}");
    }
}
