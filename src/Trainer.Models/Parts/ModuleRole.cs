namespace Trainer.Models.Parts;

/// <summary>The place of a module in the decoder. A layer has at most one module of each role but <see cref="Part"/>.</summary>
public enum ModuleRole
{
    /// <summary>A module that its part alone knows, by its path.</summary>
    Part,
    /// <summary>The token embedding.</summary>
    Embedding,
    /// <summary>Queries, keys and values in one matrix, in this order.</summary>
    Qkv,
    /// <summary>Queries.</summary>
    Query,
    /// <summary>Keys.</summary>
    Key,
    /// <summary>Values.</summary>
    Value,
    /// <summary>Output of attention.</summary>
    Output,
    /// <summary>Gate and up in one matrix, in this order.</summary>
    GateUp,
    /// <summary>Gate of the feed-forward block.</summary>
    Gate,
    /// <summary>Up of the feed-forward block.</summary>
    Up,
    /// <summary>Down of the feed-forward block.</summary>
    Down,
    /// <summary>Norm on the input of attention.</summary>
    BeforeAttention,
    /// <summary>Norm on the output of attention.</summary>
    AfterAttention,
    /// <summary>Norm on the input of the feed-forward block.</summary>
    BeforeMlp,
    /// <summary>Norm on its output.</summary>
    AfterMlp,
    /// <summary>Norm on queries.</summary>
    QueryNorm,
    /// <summary>Norm on keys.</summary>
    KeyNorm,
    /// <summary>The norm before the head.</summary>
    FinalNorm,
    /// <summary>The output head.</summary>
    Head,
}
