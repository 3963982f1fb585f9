namespace Trainer.Engine.Fast.Operations;

/// <summary>A kernel of our own in the place of one operation of a device; see <see cref="OwnKernels"/>.</summary>
/// <param name="Operation">The operation's name.</param>
/// <param name="Make">Makes it for the operations of a device: a delegate with the operation's own parameters.</param>
internal sealed record KernelOverride(string Operation, Func<IKernels, Delegate> Make);
