using System.Runtime.CompilerServices;
using Trainer.Engine.Native;

namespace Trainer.Engine.Tests;

/// <summary>What the program does before libtorch is loaded, the test process does too.</summary>
internal static class TestProcess
{
    [ModuleInitializer]
    internal static void Start() => OpenMp.Prepare();
}
