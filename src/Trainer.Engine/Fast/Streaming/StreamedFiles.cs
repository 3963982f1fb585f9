using Trainer.Models;

namespace Trainer.Engine.Fast.Streaming;

/// <summary>The weight files of a model that is streamed, and what they were when it was opened.</summary>
internal sealed class StreamedFiles
{
    private readonly List<(string Path, string Target, long Length, DateTime Written)> _files = [];

    public StreamedFiles(IEnumerable<string> paths)
    {
        foreach (var path in paths)
        {
            // The hub's cache holds links; what may change is what they lead to.
            var target = File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path;
            _files.Add((path, target, new FileInfo(target).Length, File.GetLastWriteTimeUtc(target)));
        }
    }

    /// <summary>Stops a run whose files changed under it.</summary>
    /// <exception cref="ModelException">A file has another length or time, or is gone.</exception>
    public void Check()
    {
        for (var f = 0; f < _files.Count; f++) Check(f);
    }

    /// <summary>The same of the files that hold the given paths.</summary>
    public void Check(IReadOnlySet<string> paths)
    {
        for (var f = 0; f < _files.Count; f++)
            if (paths.Contains(_files[f].Path)) Check(f);
    }

    private void Check(int file)
    {
        var (path, target, length, written) = _files[file];
        if (!File.Exists(target) || new FileInfo(target).Length != length || File.GetLastWriteTimeUtc(target) != written)
            throw new ModelException($"'{path}' changed while it was being streamed; start again from the finished file");
    }
}
