using Trainer.Data.Rows;

namespace Trainer.Engine.Tests.Data;

/// <summary>A tokenizer whose answers a reader can count: one token a character, control tokens by name.</summary>
internal sealed class CharTokenizer : ITextEncoder
{
    public const int Bos = 1, Eos = 2, ImStart = 3, ImEnd = 4;
    private static readonly (string Text, int Id)[] Controls = [("<s>", Bos), ("</s>", Eos), ("<|im_start|>", ImStart), ("<|im_end|>", ImEnd)];

    public bool AddsBos { get; init; } = true;
    public int VocabularySize => 70000;
    public int? BosId => Bos;
    public int? EosId { get; init; } = Eos;
    public string? EosToken => "</s>";
    public string ContentHash { get; init; } = "chars";

    public static int Id(char c) => 16 + c;

    public (int[] Ids, (int Start, int End)[] Offsets) Encode(string text, bool addSpecialTokens)
    {
        var ids = new List<int>();
        var offsets = new List<(int, int)>();
        if (addSpecialTokens && AddsBos)
        {
            ids.Add(Bos);
            offsets.Add((0, 0));
        }
        for (var i = 0; i < text.Length;)
        {
            var control = Array.Find(Controls, each => string.CompareOrdinal(text, i, each.Text, 0, each.Text.Length) == 0);
            var length = control.Text?.Length ?? 1;
            ids.Add(control.Text is null ? Id(text[i]) : control.Id);
            offsets.Add((i, i + length));
            i += length;
        }
        return ([.. ids], [.. offsets]);
    }

    public string Decode(ReadOnlySpan<int> ids) => DataFolder.Text(ids.ToArray());

    public bool IsSpecial(int id) => id is > 0 and < 16;

    public bool IsBlank(int id) => id == Id('\n') || id == Id(' ');
}
