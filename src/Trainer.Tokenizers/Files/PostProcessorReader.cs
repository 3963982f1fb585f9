using Trainer.Tokenizers.PostProcessors;

namespace Trainer.Tokenizers.Files;

/// <summary>Builds post-processors from a tokenizer.json.</summary>
internal static class PostProcessorReader
{
    /// <summary>Reads one, or null where there is none.</summary>
    /// <param name="section">The component.</param>
    /// <param name="textOf">Vocabulary text of an id.</param>
    public static IPostProcessor? Read(JsonSection section, Func<int, string> textOf)
    {
        if (section.IsNull)
            return null;
        switch (section.Type())
        {
            case "Sequence":
                return new PostProcessorSequence([.. section.Member("processors").Items()
                    .Select(item => Read(item, textOf) ?? throw item.Fault("a post-processor was expected"))]);
            case "ByteLevel":
                return section.Member("trim_offsets").Flag(true)
                    ? new OffsetTrimmer(textOf, section.Member("add_prefix_space").Flag(true)) : new Template([null]);
            case "TemplateProcessing":
                return ReadTemplate(section);
            case "BertProcessing":
                return Enclose(section);
            case "RobertaProcessing":
                var enclosing = Enclose(section);
                return section.Member("trim_offsets").Flag(true)
                    ? new PostProcessorSequence([new OffsetTrimmer(textOf, section.Member("add_prefix_space").Flag(true)), enclosing]) : enclosing;
            case var type:
                throw ComponentReader.Unknown(section, "post-processor", type);
        }
    }

    private static Template Enclose(JsonSection section) => new([[PairId(section.Member("cls"))], null, [PairId(section.Member("sep"))]]);

    private static int PairId(JsonSection pair)
    {
        var items = pair.Items().ToArray();
        return items.Length == 2 ? items[1].Number() : throw pair.Fault("a token and its id were expected");
    }

    private static Template ReadTemplate(JsonSection section)
    {
        var special = section.Member("special_tokens");
        var parts = new List<int[]?>();
        foreach (var item in section.Member("single").Items())
        {
            var sequence = item.Member("Sequence");
            if (!sequence.IsNull)
            {
                if (sequence.Member("id").Text() != "A")
                    throw sequence.Fault("a template for one text can only use the sequence 'A'");
                parts.Add(null);
                continue;
            }
            var name = item.Member("SpecialToken").Member("id").Text();
            var token = special.Member(name);
            if (token.IsNull)
                throw special.Fault($"the template uses the token '{name}', which is not listed");
            parts.Add([.. token.Member("ids").Items().Select(id => id.Number())]);
        }
        return new Template(parts);
    }
}
