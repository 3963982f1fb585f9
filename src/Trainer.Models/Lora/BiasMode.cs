namespace Trainer.Models.Lora;

/// <summary>Which of the base's biases are trained with the adapter.</summary>
public enum BiasMode
{
    /// <summary>None.</summary>
    None,
    /// <summary>Every bias of the model.</summary>
    All,
    /// <summary>The biases of adapted layers.</summary>
    LoraOnly,
}
