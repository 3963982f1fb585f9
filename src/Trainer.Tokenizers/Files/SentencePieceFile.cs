using Trainer.Tokenizers.Normalizers;

namespace Trainer.Tokenizers.Files;

/// <summary>What a tokenizer.model of SentencePiece says (sentencepiece_model.proto).</summary>
internal sealed class SentencePieceFile
{
    private const int UnigramModel = 1, BytePairModel = 2;

    private string _brokenMap = "";
    private bool _escapesSpaces = true;
    private bool _spaceBehind;
    private int _modelType = 1;

    private SentencePieceFile() { }

    /// <summary>Pieces by id.</summary>
    public List<(string Text, float Score, SentencePieceType Type)> Pieces { get; } = [];

    /// <summary>Pieces are chosen by likelihood; else they are merged by score.</summary>
    public bool IsUnigram => _modelType == UnigramModel;

    /// <summary>Texts that are replaced before anything else, or null.</summary>
    public CharacterMap? Map { get; private set; }

    /// <summary>Unknown letters become byte pieces.</summary>
    public bool ByteFallback { get; private set; }

    /// <summary>A space is put in front of every text.</summary>
    public bool AddDummyPrefix { get; private set; } = true;

    /// <summary>Spaces at the ends are dropped and runs of them become one.</summary>
    public bool RemoveExtraSpaces { get; private set; } = true;

    public string BosPiece { get; private set; } = "<s>";

    public string EosPiece { get; private set; } = "</s>";

    public string PadPiece { get; private set; } = "<pad>";

    /// <summary>Reads a model: BPE or Unigram.</summary>
    public static SentencePieceFile Read(byte[] bytes, string path)
    {
        var file = new SentencePieceFile();
        var reader = new ProtobufReader(bytes, path);
        while (reader.Read())
        {
            switch (reader.Field)
            {
                case 1: file.ReadPiece(reader.Bytes, path); break;
                case 2: file.ReadTrainer(reader.Bytes, path); break;
                case 3: file.ReadNormalizer(reader.Bytes, path); break;
            }
        }
        TokenizerException Refuse(string what) => new($"tokenizer file '{path}': {what}; use a model with a tokenizer.json");
        if (file.Pieces.Count == 0)
            throw Refuse("it holds no pieces");
        if (file._modelType is not (UnigramModel or BytePairModel))
            throw Refuse($"the SentencePiece model type '{(file._modelType switch { 3 => "word", 4 => "char", _ => "unknown" })}' is not supported");
        if (file._brokenMap.Length > 0)
            throw Refuse($"its normalization '{file._brokenMap}' has a character map that cannot be read");
        if (!file._escapesSpaces || file._spaceBehind)
            throw Refuse("its treatment of spaces is not supported");
        if (!file.IsUnigram && file.Pieces.Exists(piece => piece.Type == SentencePieceType.Unused))
            throw Refuse("unused pieces are not supported");
        return file;
    }

    private void ReadPiece(ReadOnlySpan<byte> bytes, string path)
    {
        var (text, score, type) = ("", 0f, SentencePieceType.Normal);
        var reader = new ProtobufReader(bytes, path);
        while (reader.Read())
        {
            switch (reader.Field)
            {
                case 1: text = reader.Text(); break;
                case 2: score = reader.Single; break;
                case 3: type = (SentencePieceType)reader.Int; break;
            }
        }
        if (!Enum.IsDefined(type) || float.IsNaN(score))
            throw new TokenizerException($"tokenizer file '{path}': piece {Pieces.Count} '{text}' has no valid type or score; take the file anew from its "
                + "model");
        Pieces.Add((text, score, type));
    }

    private void ReadTrainer(ReadOnlySpan<byte> bytes, string path)
    {
        var reader = new ProtobufReader(bytes, path);
        while (reader.Read())
        {
            switch (reader.Field)
            {
                case 3: _modelType = reader.Int; break;
                case 24: _spaceBehind = reader.Int != 0; break;
                case 35: ByteFallback = reader.Int != 0; break;
                case 46: BosPiece = reader.Text(); break;
                case 47: EosPiece = reader.Text(); break;
                case 48: PadPiece = reader.Text(); break;
            }
        }
    }

    private void ReadNormalizer(ReadOnlySpan<byte> bytes, string path)
    {
        var reader = new ProtobufReader(bytes, path);
        var name = "";
        var mapped = false;
        while (reader.Read())
        {
            switch (reader.Field)
            {
                case 1: name = reader.Text(); break;
                case 2:
                    mapped = reader.Bytes.Length > 0;
                    Map = mapped ? CharacterMap.Read(reader.Bytes) : null;
                    break;
                case 3: AddDummyPrefix = reader.Int != 0; break;
                case 4: RemoveExtraSpaces = reader.Int != 0; break;
                case 5: _escapesSpaces = reader.Int != 0; break;
            }
        }
        _brokenMap = mapped && Map is null ? name.Length > 0 ? name : "unnamed" : "";
    }
}
