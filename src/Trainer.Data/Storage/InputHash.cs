using System.Security.Cryptography;
using System.Text;
using Trainer.Data.Reading;

namespace Trainer.Data.Storage;

/// <summary>Digests of the input files' bytes.</summary>
internal static class InputHash
{
    /// <summary>SHA-256 of each file as it lies on disk, in parallel, hex.</summary>
    public static string[] Of(IReadOnlyList<string> files)
    {
        var hashes = new string[files.Count];
        var faults = new DataException?[files.Count];
        Parallel.For(0, files.Count, i =>
        {
            try
            {
                using var file = InputFile.OpenFile(files[i]);
                hashes[i] = Convert.ToHexStringLower(SHA256.HashData(file));
            }
            catch (DataException fault)
            {
                faults[i] = fault;
            }
            catch (IOException fault)
            {
                faults[i] = new DataException($"cannot read data file '{files[i]}': {fault.Message.TrimEnd('.')}; check the path", fault);
            }
        });
        return Array.Find(faults, fault => fault is not null) is { } first ? throw first : hashes;
    }

    /// <summary>One digest over several texts, each closed so that no two lists read alike.</summary>
    public static byte[] Join(IEnumerable<string> parts)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var part in parts)
        {
            var bytes = Encoding.UTF8.GetBytes(part);
            hash.AppendData(BitConverter.GetBytes(bytes.Length));
            hash.AppendData(bytes);
        }
        return hash.GetHashAndReset();
    }
}
