using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer schema</c>: the JSON Schema of a recipe.</summary>
internal static class SchemaCommand
{
    public static readonly CommandSpec Spec = new("schema", "Print the JSON Schema of a recipe, for editors.", Run)
    {
        Group = "Recipes",
        Examples = [("trainer schema > recipe.schema.json", "then put '# yaml-language-server: $schema=recipe.schema.json' on top of a recipe")],
    };

    private static int Run(Invocation invocation)
    {
        invocation.Terminal.Out.WriteLine(RecipeSchema.Build(TrainSettings.Recipe).ToJsonString(Json.Indented));
        return ExitCode.Done;
    }
}
