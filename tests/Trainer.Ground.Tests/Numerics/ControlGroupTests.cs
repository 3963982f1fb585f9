using Trainer.Ground.Tests.Checkpoints;
using Trainer.Numerics.Machine;

namespace Trainer.Ground.Tests.Numerics;

/// <summary>Limits of control groups, read from trees of files as the kernel shows them.</summary>
public class ControlGroupTests
{
    private const string Two = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

    [Fact]
    public void Version_2_takes_the_least_limit_on_the_way_up()
    {
        using var temp = new TempFolder();
        temp.Write("proc/self/cgroup", "0::/system.slice/job.service\n");
        temp.Write("proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda rw\n" + Two);
        temp.Write("sys/fs/cgroup/system.slice/memory.max", "8000\n");
        temp.Write("sys/fs/cgroup/system.slice/memory.current", "5000\n");
        temp.Write("sys/fs/cgroup/system.slice/memory.stat", "anon 1\ninactive_file 1500\nactive_file 7\n");
        temp.Write("sys/fs/cgroup/system.slice/cpu.max", "max 100000\n");
        temp.Write("sys/fs/cgroup/system.slice/job.service/memory.max", "max\n");
        temp.Write("sys/fs/cgroup/system.slice/job.service/cpu.max", "150000 100000\n");
        Assert.Equal(new ControlGroup(8000, 3500, 1.5), ControlGroup.Read(temp.Path));
    }

    [Fact]
    public void Version_1_has_a_tree_for_each_controller_and_a_container_sees_a_part_of_it()
    {
        using var temp = new TempFolder();
        temp.Write("proc/self/cgroup", "9:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n");
        temp.Write("proc/self/mountinfo",
            "40 31 0:32 /docker/abc /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory\n41 31 0:33 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup "
            + "cgroup rw,cpu,cpuacct\n42 31 0:34 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
        temp.Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "12345\n");
        temp.Write("sys/fs/cgroup/memory/memory.usage_in_bytes", "2000\n");
        temp.Write("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n");
        temp.Write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n");
        temp.Write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
        Assert.Equal(new ControlGroup(12345, 1500, 0.5), ControlGroup.Read(temp.Path));
    }

    [Fact]
    public void No_limit_is_none_in_either_version_and_a_hidden_proc_is_no_fault()
    {
        using var temp = new TempFolder();
        Assert.Equal(new ControlGroup(null, 0, null), ControlGroup.Read(temp.Path));
        temp.Write("proc/self/cgroup", "9:memory:/\n4:cpu:/\n0::/\n");
        temp.Write("proc/self/mountinfo", "40 31 0:32 / /m rw - cgroup cgroup rw,memory\n41 31 0:33 / /c rw - cgroup cgroup rw,cpu\n");
        temp.Write("m/memory.limit_in_bytes", "9223372036854771712\n");
        temp.Write("c/cpu.cfs_quota_us", "-1\n");
        temp.Write("c/cpu.cfs_period_us", "100000\n");
        Assert.Equal(new ControlGroup(null, 0, null), ControlGroup.Read(temp.Path));
    }

    [Theory]
    [InlineData(64, null, 64)]
    [InlineData(64, 4.0, 4)]
    [InlineData(64, 1.5, 2)]
    [InlineData(64, 0.2, 1)]
    [InlineData(2, 8.0, 2)]
    public void A_quota_bounds_the_threads(int visible, double? quota, int threads) => Assert.Equal(threads, MachineLimits.ProcessorsOf(visible, quota));

    [Fact]
    public void The_memory_is_the_machines_and_not_what_the_collector_would_take() =>
        Assert.True(!OperatingSystem.IsLinux() || MachineLimits.GroupLimitBytes is not null
            || MachineLimits.MemoryBytes == 1024 * long.Parse(File.ReadLines("/proc/meminfo").First().Split(' ', StringSplitOptions.RemoveEmptyEntries)[1],
                System.Globalization.CultureInfo.InvariantCulture));
}
