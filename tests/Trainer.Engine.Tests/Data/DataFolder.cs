using System.IO.Compression;
using System.Text;
using Trainer.Data;
using Trainer.Data.Rows;

namespace Trainer.Engine.Tests.Data;

/// <summary>A folder of data files that is gone after the test.</summary>
internal sealed class DataFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("trainer-data-").FullName;

    public string Write(string name, string content) => Write(name, Encoding.UTF8.GetBytes(content));

    public string Write(string name, byte[] content)
    {
        var path = System.IO.Path.Combine(Path, name);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, content);
        return path;
    }

    public static byte[] Gzip(string content)
    {
        using var bytes = new MemoryStream();
        using (var gzip = new GZipStream(bytes, CompressionLevel.Fastest)) gzip.Write(Encoding.UTF8.GetBytes(content));
        return bytes.ToArray();
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);

    /// <summary>Builds with the counting tokenizer and ChatML.</summary>
    public static Dataset Build(DataOptions options, ITextEncoder? tokenizer = null, IChatRenderer? chat = null) =>
        DatasetBuilder.Build(options, new TextTools(tokenizer ?? new CharTokenizer(), chat ?? new ChatMl()));

    public static DataOptions Options(params string[] paths) => new() { Train = [.. paths.Select(path => new DataSource(path))] };

    /// <summary>The trained part of a row as text, of the counting tokenizer.</summary>
    public static string Trained(Example example) => Text(example.Labels.Where(label => label != Example.IgnoredLabel));

    public static string Text(IEnumerable<int> ids) => string.Concat(ids.Select(id => id switch
    {
        CharTokenizer.Bos => "<s>",
        CharTokenizer.Eos => "</s>",
        CharTokenizer.ImStart => "<|im_start|>",
        CharTokenizer.ImEnd => "<|im_end|>",
        _ => ((char)(id - 16)).ToString(),
    }));
}
