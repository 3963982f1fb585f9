using System.Buffers.Binary;
using System.Text;

namespace Trainer.Ground.Tests.Checkpoints;

internal static class Fixture
{
    internal static string Root { get; } = FindRoot();

    internal static string Path(params string[] parts) => System.IO.Path.Combine([Root, "tests", "fixtures", .. parts]);

    /// <summary>A folder of the read-only material beside the repository; null where it is absent.</summary>
    internal static string? Shared(params string[] parts)
    {
        var path = System.IO.Path.Combine([Root, "..", "shared", .. parts]);
        return Directory.Exists(path) || File.Exists(path) ? System.IO.Path.GetFullPath(path) : null;
    }

    /// <summary>A safetensors file from header text and data bytes.</summary>
    internal static byte[] Safetensors(string header, int dataBytes = 0, long? claimedLength = null)
    {
        var json = Encoding.UTF8.GetBytes(header);
        var file = new byte[8 + json.Length + dataBytes];
        BinaryPrimitives.WriteInt64LittleEndian(file, claimedLength ?? json.Length);
        json.CopyTo(file, 8);
        for (var i = 0; i < dataBytes; i++) file[8 + json.Length + i] = (byte)i;
        return file;
    }

    private static string FindRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(System.IO.Path.Combine(folder, "Trainer.sln")))
            folder = System.IO.Path.GetDirectoryName(folder);
        return folder ?? throw new InvalidOperationException("no Trainer.sln above " + AppContext.BaseDirectory);
    }
}
