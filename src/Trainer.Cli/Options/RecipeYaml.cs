using Trainer.Checkpoints.Atomic;
using Trainer.Training.Options;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Trainer.Cli.Options;

/// <summary>A YAML file as its keys and nodes, whatever they mean.</summary>
internal static class RecipeYaml
{
    public static YamlMappingNode? Load(string path)
    {
        if (Directory.Exists(path)) throw new UsageException($"recipe '{path}' is a folder; name the .yaml file in it");
        if (!File.Exists(path))
            path = ShippedRecipes.Find(path) ?? throw new UsageException($"no recipe '{path}'; 'trainer recipes' lists those that come with trainer");
        var stream = new YamlStream();
        RegularFile.Require(path);
        try
        {
            var text = ReadText(path);
            YamlGuard.Check(text, path);
            stream.Load(new StringReader(text));
        }
        catch (YamlException fault)
        {
            throw new UsageException($"recipe is not YAML ({path}:{fault.Start.Line}): {fault.Message.ReplaceLineEndings(" ")}; indent with spaces and quote "
                + "values that hold ': '");
        }
        catch (Exception fault) when (fault is ArgumentException or InvalidOperationException or FormatException)
        {
            // The library's other ways to say that a damaged text is no YAML.
            throw new UsageException($"recipe is not YAML ({path}): {fault.Message.ReplaceLineEndings(" ").TrimEnd('.')}; indent with spaces and quote values "
                + "that hold ': '");
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"recipe '{path}' cannot be read: {fault.Message.TrimEnd('.')}");
        }
        if (stream.Documents.Count == 0) return null;
        return stream.Documents[0].RootNode switch
        {
            YamlMappingNode root => root,
            YamlScalarNode { Value: null or "" } => null,
            _ => throw new UsageException($"recipe '{path}' is not a list of 'key: value' lines"),
        };
    }

    // Longer than any recipe; what is longer is another file by mistake.
    private static string ReadText(string path)
    {
        const int Most = 4 << 20;
        using var reader = new StreamReader(path);
        var text = new char[Most + 1];
        var count = reader.ReadBlock(text);
        if (count > Most) throw new UsageException($"recipe '{path}' is longer than {Most >> 20} MiB; name a file of 'key: value' lines");
        return new string(text, 0, count);
    }
}
