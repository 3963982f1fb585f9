using Trainer.Training.Options;

namespace Trainer.Engine.Tests.Training;

public class UserPathTests
{
    [Fact]
    public void The_home_folder_is_meant_by_a_leading_tilde_alone()
    {
        var home = Environment.GetEnvironmentVariable("HOME") ?? Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        Assert.Equal(home, UserPath.Expand("~"));
        Assert.Equal(Path.Combine(home, "runs", "a~b"), UserPath.Expand("~/runs/a~b"));
        Assert.Equal("runs/~", UserPath.Expand("runs/~"));
        Assert.Equal("", UserPath.Expand(""));
    }

    [Fact]
    public void Another_users_home_folder_is_refused_and_not_made_here()
    {
        var fault = Assert.Throws<UsageException>(() => UserPath.Expand("~nobody-of-that-name/runs"));
        Assert.Contains("~nobody-of-that-name would be the home folder of another user", fault.Message, StringComparison.Ordinal);
    }
}
