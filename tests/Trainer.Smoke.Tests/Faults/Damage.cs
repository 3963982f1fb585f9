using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Trainer.Smoke.Tests.Faults;

/// <summary>Spoils a file at random, each kind of file in the ways that its readers could fall over.</summary>
internal static partial class Damage
{
    private static readonly string[] Odd =
    [
        "null", "[]", "{}", "\"\"", "\"x\"", "-1", "0", "1e999", "-1e308", "9223372036854775808", "4294967296", "1000000", "1.5", "true", "[\"a\",null]",
        "[[1],[2]]", "\"\\u001b[2J\"", "\"\\ud800\"", "\"a\\u0000b\"",
        "{\"a\":{\"b\":1}}", "\"" + "../../../etc/passwd" + "\"", "\"(a+)+$\"", "\"{{ 1/0 }}\"", "NaN", "Infinity",
    ];

    private static readonly string[] Extensions = [".json", ".jsonl", ".yaml", ".jinja", ".csv"];

    /// <summary>Spoils the file, or puts something in its place that is no file.</summary>
    public static void Do(string path, Random random)
    {
        if (random.Next(40) == 0)
        {
            Replace(path, random.Next(5));
            return;
        }
        File.WriteAllBytes(path, Bytes(File.ReadAllBytes(path), Path.GetExtension(path), random));
        Sign(path);
    }

    /// <summary>Gives a checkpoint's manifest the digest of a spoilt file, so that its readers see what is in it.</summary>
    private static void Sign(string path)
    {
        var manifest = Path.Combine(Path.GetDirectoryName(path)!, "manifest.json");
        if (!File.Exists(manifest) || Path.GetFileName(path) == "manifest.json") return;
        var root = JsonNode.Parse(File.ReadAllText(manifest))!;
        if (root["files"]?[Path.GetFileName(path)] is not JsonObject entry) return;
        entry["bytes"] = new FileInfo(path).Length;
        entry["sha256"] = Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(path)));
        File.WriteAllText(manifest, root.ToJsonString());
    }

    private static void Replace(string path, int kind)
    {
        File.Delete(path);
        if (kind == 0) Directory.CreateDirectory(path);
        else if (kind == 1) File.CreateSymbolicLink(path, path);
        else if (kind == 2) File.CreateSymbolicLink(path, "/dev/zero");
        else if (kind == 3) File.CreateSymbolicLink(path, "nowhere");
        else _ = MakePipe(path, 0x1B6);
    }

    private static byte[] Bytes(byte[] bytes, string extension, Random random)
    {
        if (bytes.Length == 0) return bytes;
        if (extension == ".safetensors" && random.Next(5) == 0)
            return [.. BitConverter.GetBytes(random.Next(2) == 0 ? ulong.MaxValue : 1UL << random.Next(40)), .. bytes[Math.Min(8, bytes.Length)..]];
        if (extension == ".safetensors" && random.Next(4) > 0)
        {
            var length = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
            var header = Encoding.UTF8.GetBytes(Json(Encoding.UTF8.GetString(bytes, 8, length), random));
            return [.. BitConverter.GetBytes((long)header.Length), .. header, .. bytes[(8 + length)..]];
        }
        var isText = Extensions.Contains(extension);
        if (isText && random.Next(12) == 0) return Marked(bytes, random);
        if (extension is ".jsonl" or ".yaml" or ".csv" && random.Next(3) > 0) return Line(bytes, extension, random);
        if (extension == ".json" && random.Next(4) > 0) return Encoding.UTF8.GetBytes(Json(Encoding.UTF8.GetString(bytes), random));
        return Raw(bytes, random);
    }

    // What editors and other systems do to a text.
    private static byte[] Marked(byte[] bytes, Random random) => random.Next(5) switch
    {
        0 => [0xEF, 0xBB, 0xBF, .. bytes],
        1 => [0xFF, 0xFE, .. Encoding.Unicode.GetBytes(Encoding.UTF8.GetString(bytes))],
        2 => Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(bytes).ReplaceLineEndings("\r\n")),
        3 => [.. bytes, .. new byte[300]],
        _ => [.. bytes, .. bytes],
    };

    private static byte[] Line(byte[] bytes, string extension, Random random)
    {
        var lines = Encoding.UTF8.GetString(bytes).Split('\n');
        var at = random.Next(lines.Length);
        var odd = Odd[random.Next(Odd.Length)];
        if (extension == ".yaml" && lines[at].IndexOf(':', StringComparison.Ordinal) is > 0 and var colon) lines[at] = $"{lines[at][..(colon + 1)]} {odd}";
        else if (extension == ".jsonl" && lines[at].StartsWith('{') && random.Next(2) == 0) lines[at] = Json(lines[at], random);
        else lines[at] = odd;
        return Encoding.UTF8.GetBytes(string.Join('\n', lines));
    }

    /// <summary>A value of any level replaced, taken out or said twice.</summary>
    private static string Json(string text, Random random)
    {
        if (JsonNode.Parse(text) is not JsonObject { Count: > 0 } root) return Odd[random.Next(Odd.Length)];
        var owner = root;
        var key = Key(root);
        while (owner[key] is JsonObject { Count: > 0 } inner && random.Next(4) > 0) (owner, key) = (inner, Key(inner));
        if (random.Next(8) == 0)
        {
            owner.Remove(key);
            return root.ToJsonString();
        }
        if (owner[key] is JsonArray { Count: > 0 } list && random.Next(2) == 0) list[random.Next(list.Count)] = "@@@";
        else owner[key] = "@@@";
        var odd = random.Next(12) == 0 ? new string('[', 20_000) + new string(']', 20_000)
            : random.Next(6) == 0 ? Number(random) : Odd[random.Next(Odd.Length)];
        var changed = root.ToJsonString().Replace("\"@@@\"", odd, StringComparison.Ordinal);
        return random.Next(8) == 0 ? $"{{{JsonSerializer.Serialize(key)}:1,{changed[1..]}" : changed;

        string Key(JsonObject pairs) => pairs.ElementAt(random.Next(pairs.Count)).Key;
    }

    private static string Number(Random random)
        => (random.Next(2) == 0 ? Math.Pow(2, random.Next(64)) : -Math.Pow(10, random.Next(20))).ToString("F0", CultureInfo.InvariantCulture);

    private static byte[] Raw(byte[] bytes, Random random)
    {
        var at = random.Next(bytes.Length);
        switch (random.Next(6))
        {
            case 0:
                return bytes[..at];
            case 1:
                for (var i = 0; i < 12; i++) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                return bytes;
            case 2:
                return [.. bytes[..at], .. Enumerable.Repeat((byte)"[{(\""[random.Next(4)], 20_000), .. bytes[at..]];
            case 3:
                return [];
            case 4:
                // A number of the file's own making: the length of something.
                var number = BitConverter.GetBytes(random.Next(2) == 0 ? -1L : 1L << random.Next(62));
                number.AsSpan(0, Math.Min(8, bytes.Length - at)).CopyTo(bytes.AsSpan(at));
                return bytes;
            default:
                return [.. bytes[..at], .. bytes[Math.Min(bytes.Length, at + 100)..]];
        }
    }

    [LibraryImport("libc", EntryPoint = "mkfifo", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MakePipe(string path, int rights);
}
