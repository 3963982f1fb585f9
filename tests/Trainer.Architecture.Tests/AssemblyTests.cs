using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace Trainer.Architecture.Tests;

/// <summary>Reads the built assemblies, so that a reference smuggled past the project files is seen too.</summary>
public sealed class AssemblyTests
{
    private static readonly string[] GroundFloor = ["Trainer.Numerics", "Trainer.Tokenizers", "Trainer.Templates", "Trainer.Checkpoints", "Trainer.Hub",
        "Trainer.Distributed"];

    [Theory]
    [InlineData("TorchSharp")]
    [InlineData("Serilog")]
    [InlineData("System.CommandLine")]
    [InlineData("Spectre.Console")]
    public void The_ground_floor_knows_nothing_of(string package)
    {
        foreach (var name in GroundFloor)
            Assert.DoesNotContain(package, References(name));
    }

    [Theory]
    [InlineData("Trainer.Models")]
    [InlineData("Trainer.Engine")]
    [InlineData("Trainer.Data")]
    [InlineData("Trainer.Adapters")]
    [InlineData("Trainer.Training")]
    public void Below_the_program_nobody_logs_or_parses_options(string name)
        // Cards of data sets are YAML as well; recipes are read by the program alone.
        => Assert.Empty(References(name).Intersect(["Serilog", "System.CommandLine", "Spectre.Console",
            .. name == "Trainer.Data" ? Array.Empty<string>() : ["YamlDotNet"], "ScottPlot"]));

    [Fact]
    public void Descriptions_and_data_make_no_tensors()
        => Assert.All(["Trainer.Models", "Trainer.Data"], static name => Assert.DoesNotContain("TorchSharp", References(name)));

    [Fact]
    public void Public_types_below_the_program_are_sealed_or_contracts()
    {
        var faults = House.Rooms.Where(static room => room.Value.Floor < 5).SelectMany(static room => OpenTypes(room.Key));
        Assert.Empty(faults);
    }

    private static List<string> OpenTypes(string assembly)
    {
        using var image = new PEReader(File.OpenRead(PathOf(assembly)));
        var reader = image.GetMetadataReader();
        var open = new List<string>();
        foreach (var handle in reader.TypeDefinitions)
        {
            var type = reader.GetTypeDefinition(handle);
            var isPublic = (type.Attributes & System.Reflection.TypeAttributes.VisibilityMask) == System.Reflection.TypeAttributes.Public;
            var isInterface = (type.Attributes & System.Reflection.TypeAttributes.Interface) != 0;
            // An abstract type is a contract, a sealed one a decision; only a class one may derive from by accident is a fault.
            var isContract = (type.Attributes & (System.Reflection.TypeAttributes.Abstract | System.Reflection.TypeAttributes.Sealed)) != 0;
            if (isPublic && !isInterface && !isContract) open.Add($"{reader.GetString(type.Namespace)}.{reader.GetString(type.Name)}");
        }
        return open;
    }

    private static List<string> References(string assembly)
    {
        using var image = new PEReader(File.OpenRead(PathOf(assembly)));
        var reader = image.GetMetadataReader();
        return [.. reader.AssemblyReferences.Select(handle => reader.GetString(reader.GetAssemblyReference(handle).Name))];
    }

    // The newest build of the project, whatever the configuration: the tests of a Release build read Release.
    private static string PathOf(string assembly)
        => Directory.EnumerateFiles(Path.Combine(Repository.Root, "src", assembly, "bin"), assembly + ".dll", SearchOption.AllDirectories)
            .MaxBy(File.GetLastWriteTimeUtc) ?? throw new InvalidOperationException(assembly + " is not built; run dotnet build first");
}
