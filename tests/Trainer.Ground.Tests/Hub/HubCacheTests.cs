using Trainer.Ground.Tests.Checkpoints;
using Trainer.Hub;

namespace Trainer.Ground.Tests.Hub;

[Trait("ring", "unit")]
public sealed class HubCacheTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    [Fact]
    public void A_reference_through_a_link_is_followed_and_one_to_a_device_is_none()
    {
        if (OperatingSystem.IsWindows()) return;
        var (commit, repository) = (new string('a', 40), _temp["models--org--tiny"]);
        var snapshot = Directory.CreateDirectory(Path.Combine(repository, "snapshots", commit)).FullName;
        Directory.CreateDirectory(Path.Combine(repository, "snapshots", new string('b', 40)));
        Directory.CreateDirectory(Path.Combine(repository, "refs"));
        File.WriteAllText(Path.Combine(repository, "refs", "there"), commit);
        var reference = Path.Combine(repository, "refs", "main");
        string? Found(string target)
        {
            File.Delete(reference);
            File.CreateSymbolicLink(reference, target);
            return new HubCache(_temp.Path).Snapshot(HubModelId.TryParse("org/tiny")!);
        }
        Assert.Equal(snapshot, Found("there"));
        // A link has a length, and what it points to would be read without end.
        Assert.Null(Found("/dev/zero"));
    }
}
