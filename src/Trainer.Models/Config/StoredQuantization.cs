namespace Trainer.Models;

/// <summary>How a folder's linear weights are already quantized (bitsandbytes layout).</summary>
/// <param name="DoubleQuantized">Whether config.json declares quantized absmax values.</param>
public sealed record StoredQuantization(bool DoubleQuantized);
