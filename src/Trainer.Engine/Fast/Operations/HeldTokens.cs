namespace Trainer.Engine.Fast.Operations;

/// <summary>Where keys and values of a text that is continued lie, the new tokens' behind those held.</summary>
/// <param name="Keys">Keys (tokens, key heads, size), dense.</param>
/// <param name="Values">Values, likewise.</param>
/// <param name="Count">Tokens before the new ones.</param>
internal readonly record struct HeldTokens(Place Keys, Place Values, int Count);
