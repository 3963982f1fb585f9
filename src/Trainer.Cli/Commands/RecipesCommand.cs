using System.Text.Json;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer recipes</c>: the recipes that come with the program.</summary>
internal static class RecipesCommand
{
    public static readonly CommandSpec Spec = new("recipes", "List the recipes that come with trainer, or print one.", Run)
    {
        Group = "Recipes",
        Description = "Each is a commented file. 'trainer train NAME' runs one as it is, 'trainer recipes NAME > my.yaml' gives you one to change.",
        Positional = "[NAME]",
        PositionalHelp = "A recipe to print.",
        MaxPositionals = 1,
        Settings = [CommonSettings.Json],
        Examples = [("trainer recipes", ""), ("trainer recipes llama-8b > my.yaml", "a copy to change")],
    };

    private static int Run(Invocation invocation)
    {
        var output = invocation.Terminal.Out;
        if (invocation.Positionals.Count > 0)
        {
            var name = invocation.Positionals[0];
            var near = DidYouMean.Nearest(name, ShippedRecipes.Names);
            var path = ShippedRecipes.Find(name)
                ?? throw new UsageException($"no recipe '{name}' comes with trainer"
                    + (near is null ? "; 'trainer recipes' lists them" : $"; did you mean '{near}'?"));
            output.Write(File.ReadAllText(path));
            return ExitCode.Done;
        }
        var rows = ShippedRecipes.Names.Select(name => (Name: name, About: ShippedRecipes.About(ShippedRecipes.Find(name)!))).ToList();
        if (invocation.Json)
            output.WriteLine(JsonSerializer.Serialize(
                rows.Select(row => new { name = row.Name, title = row.About.Title, needs = row.About.Needs, path = ShippedRecipes.Find(row.Name) }),
                Json.Indented));
        else foreach (var (name, about) in rows) output.WriteLine($"{name,-12} {about.Title}\n{"",12} needs {about.Needs}");
        return ExitCode.Done;
    }
}
