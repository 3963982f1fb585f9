namespace Trainer.Hub;

/// <summary>A short name for a model of the hub.</summary>
/// <param name="Name">What the user types.</param>
/// <param name="HubId">What it stands for.</param>
/// <param name="Description">One line for a list.</param>
public sealed record ModelPreset(string Name, string HubId, string Description);
