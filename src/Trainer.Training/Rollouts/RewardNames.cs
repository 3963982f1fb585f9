namespace Trainer.Training.Rollouts;

/// <summary>What reward programs are called in what is measured: the file that a command names, or its first word.</summary>
public static class RewardNames
{
    /// <summary>A name for each command, all different.</summary>
    /// <param name="commands">Lines for the shell.</param>
    public static IReadOnlyList<string> Of(IReadOnlyList<string> commands)
    {
        var names = new List<string>();
        foreach (var command in commands)
        {
            var words = command.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            var word = Array.Find(words, each => Path.HasExtension(each) && File.Exists(each)) ?? words.FirstOrDefault("");
            var plain = string.Concat(Path.GetFileNameWithoutExtension(word).Where(letter => char.IsAsciiLetterOrDigit(letter) || letter is '_' or '-'));
            if (plain.Length == 0) plain = "reward";
            var name = plain;
            for (var number = 2; names.Contains(name); number++) name = $"{plain}_{number}";
            names.Add(name);
        }
        return names;
    }
}
