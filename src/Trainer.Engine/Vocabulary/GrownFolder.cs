using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Folders;
using Trainer.Checkpoints.Json;
using Trainer.Checkpoints.Runs;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Quantize;
using Trainer.Models;
using Trainer.Models.Families;
using Trainer.Tokenizers;
using Trainer.Tokenizers.AddedTokens;

namespace Trainer.Engine.Vocabulary;

/// <summary>
/// A base with more tokens, as a folder of its own: the tokenizer's files with the new ones, tables of tokens with rows for them, and links to the base's
/// other weights. A new row begins as the mean of the rows of the pieces that its text was cut into before.
/// </summary>
public static class GrownFolder
{
    private const string Embedding = "model.embed_tokens", Head = "lm_head", NewShard = "model-added-tokens.safetensors";

    /// <summary>The folder for a base and new tokens, made now if it is not there; the base's own where each text is a token already.</summary>
    /// <param name="model">The base's folder.</param>
    /// <param name="tokens">Texts, all different.</param>
    /// <param name="cache">Where such folders lie; each is named by the base's files, of which the weights are sampled, and the texts.</param>
    /// <param name="making">Told the folder before it is made; null tells nobody.</param>
    /// <returns>The folder, and the ids of the texts in their order.</returns>
    /// <exception cref="ModelException">The base's tables cannot grow.</exception>
    /// <exception cref="TokenizerException">The tokenizer cannot be read, or does not find a text as a whole.</exception>
    /// <exception cref="CannotWriteException">The cache cannot be written.</exception>
    public static (string Folder, IReadOnlyList<int> Ids) Of(string model, IReadOnlyList<string> tokens, string cache, Action<string>? making = null)
    {
        ArgumentNullException.ThrowIfNull(tokens);
        var tokenizer = HfTokenizer.Load(model);
        var next = tokenizer.NextId;
        int[] ids = [.. tokens.Select(text => tokenizer.IdOf(text) ?? next++)];
        List<(string Text, int Id)> added = [.. tokens.Zip(ids).Where(pair => pair.Second >= tokenizer.NextId)];
        if (added.Count == 0) return (model, ids);
        var folder = Path.Combine(cache, $"{Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(model)))}-{Key(model, tokenizer, added)}");
        if (Directory.Exists(folder)) return (folder, ids);
        making?.Invoke(folder);
        try
        {
            Directory.CreateDirectory(cache);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new CannotWriteException($"cannot make '{cache}': {fault.Message.TrimEnd('.')}; set TRAINER_CACHE to a folder that can be written", fault);
        }
        AtomicFolder.Write(folder, temporary => Make(model, tokenizer, added, temporary));
        return (folder, ids);
    }

    private static string Key(string model, HfTokenizer tokenizer, List<(string Text, int Id)> added)
    {
        var weights = Weights(model).Select(path =>
        {
            using var file = SafetensorsFile.Open(path);
            return $"{FolderPath.Real(path)} {SourceIdentity.Of(file)}";
        });
        string[] parts = [FolderPath.Real(model), tokenizer.ContentHash, FileDigest.Sha256(Path.Combine(model, "config.json")), .. weights,
            .. added.Select(token => $"{token.Id} {token.Text}")];
        return Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(string.Join('\0', parts))))[..16];
    }

    private static IEnumerable<string> Weights(string folder)
        => Directory.EnumerateFiles(folder, "model*").Where(path => path.EndsWith(".safetensors", StringComparison.Ordinal)).Order(StringComparer.Ordinal);

    private static void Make(string model, HfTokenizer tokenizer, List<(string Text, int Id)> added, string folder)
    {
        var config = ConfigLoader.Load(model);
        var rows = Math.Max(config.VocabularySize, added[^1].Id + 1);
        if (rows > config.VocabularySize && (config.HeadBias || config.PerLayerInput is not null))
            throw new ModelException($"model '{model}' has {config.VocabularySize} rows of tokens, {rows} are needed, "
                + $"and {(config.HeadBias ? "its head has a bias" : "a second table")} beside them that cannot grow; add fewer tokens");
        ModelFolderFiles.CopyCompanions(model, folder);
        TokenizerGrowth.Add(folder, added);
        RequireFound(folder, added);
        WriteConfig(model, folder, rows);
        if (!Weights(model).Any()) return;
        using var tensors = BaseTensors.Open(model);
        WriteTables(tensors, tokenizer, added, rows, folder);
        WriteIndex(model, tensors, folder);
    }

    // What was written is read again: a text that is cut by something before the tokens are looked for would never be the new token.
    private static void RequireFound(string folder, List<(string Text, int Id)> added)
    {
        var grown = HfTokenizer.Load(folder);
        foreach (var (text, id) in added)
            if (grown.Encode(text, addSpecialTokens: false).Ids is not [var found] || found != id)
                throw new TokenizerException($"the tokenizer does not find '{text}' as one token after it was added; take another text");
    }

    private static void WriteConfig(string model, string folder, int rows)
    {
        var config = (JsonObject)PythonJson.ParseNode(SmallFile.Bytes(Path.Combine(model, "config.json")))!;
        // Multimodal files may say it at the top, inside, or both.
        if (config["text_config"] is JsonObject text) text["vocab_size"] = rows;
        if (config["text_config"] is not JsonObject || config.ContainsKey("vocab_size")) config["vocab_size"] = rows;
        File.WriteAllText(Path.Combine(folder, "config.json"), PythonJson.Serialize(config) + "\n");
    }

    private static string[] Tables(BaseTensors tensors)
        => [.. new[] { Embedding, Head }.Select(name => tensors.ByPlainName.GetValueOrDefault($"{name}.weight")).OfType<string>()];

    private static void WriteTables(BaseTensors tensors, HfTokenizer tokenizer, List<(string Text, int Id)> added, int rows, string folder)
    {
        var tables = Tables(tensors).Select(name => (Name: name, Declaration: Declare(tensors, name, rows))).ToList();
        DiskSpace.Require(folder, tables.Sum(table => table.Declaration.Shape[0] * table.Declaration.Shape[1] * table.Declaration.Dtype.Bits() / 8),
            "the rows of new tokens");
        using var writer = SafetensorsWriter.Create(Path.Combine(folder, NewShard), tables.Select(table => table.Declaration),
            SafetensorsWriter.PyTorchMetadata);
        foreach (var (name, declaration) in tables)
        {
            var columns = declaration.Shape[1];
            var first = ToRows(tensors, name, tokenizer, added, columns);
            var old = tensors.Shapes[name].Shape[0];
            var step = Math.Max(1, (1 << 22) / columns);
            for (long row = 0; row < rows; row += step)
            {
                var count = Math.Min(step, rows - row);
                var values = new float[count * columns];
                if (row < old) tensors.Read(name, row * columns, values.AsSpan(0, (int)(Math.Min(count, old - row) * columns)));
                foreach (var (id, begin) in first)
                    if (id >= row && id < row + count) begin.CopyTo(values, (id - row) * columns);
                var bytes = new byte[values.Length * declaration.Dtype.Bits() / 8];
                StoredValues.Write(values, declaration.Dtype, bytes);
                writer.Write(name, bytes);
            }
        }
        writer.Complete();
    }

    private static TensorDeclaration Declare(BaseTensors tensors, string name, int rows)
    {
        var (shape, dtype) = tensors.Shapes[name];
        return new TensorDeclaration(name, StoredValues.CanRead(dtype) ? dtype : SafetensorsDtype.F32, [rows, shape[1]]);
    }

    // The first values of the new rows, by id.
    private static Dictionary<int, float[]> ToRows(BaseTensors tensors, string name, HfTokenizer tokenizer, List<(string Text, int Id)> added, long columns)
    {
        var rows = new Dictionary<int, float[]>();
        var one = new float[columns];
        foreach (var (text, id) in added)
        {
            var pieces = tokenizer.Encode(text, addSpecialTokens: false).Ids;
            var mean = new double[columns];
            foreach (var piece in pieces)
            {
                tensors.Read(name, piece * columns, one);
                for (var i = 0; i < one.Length; i++) mean[i] += one[i] / (double)pieces.Length;
            }
            rows[id] = [.. mean.Select(value => (float)value)];
        }
        return rows;
    }

    // The base's files under names that an index may have beside it, and the index.
    private static void WriteIndex(string model, BaseTensors tensors, string folder)
    {
        var tables = Tables(tensors);
        var (map, replaced, total) = (new JsonObject(), new SortedSet<string>(StringComparer.Ordinal), 0L);
        foreach (var (path, names, bytes) in tensors.StoredFiles)
        {
            var name = Path.GetFileName(path) == ShardedModel.SingleFile ? "model-base.safetensors" : Path.GetFileName(path);
            Link(Path.Combine(folder, name), FolderPath.Real(Path.Combine(model, Path.GetFileName(path))));
            total += bytes;
            foreach (var stored in names)
            {
                // A table in codes has parts beside its name.
                if (Array.Exists(tables, table => stored.StartsWith(table[..^"weight".Length], StringComparison.Ordinal))) replaced.Add(stored);
                else map[stored] = name;
            }
        }
        foreach (var table in tables) map[table] = NewShard;
        var index = new JsonObject
        {
            ["metadata"] = new JsonObject { ["total_size"] = total, [ShardedModel.ReplacedKey] = new JsonArray([.. replaced.Select(name => (JsonNode)name)]) },
            ["weight_map"] = map,
        };
        File.WriteAllText(Path.Combine(folder, ShardedModel.IndexFile), PythonJson.Serialize(index) + "\n");
    }

    private static void Link(string path, string target)
    {
        try
        {
            File.CreateSymbolicLink(path, target);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException && OperatingSystem.IsWindows())
        {
            // Windows makes links for administrators and developers only.
            File.Copy(target, path);
        }
    }
}
