using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Trainer.Templates.Jinja;

namespace Trainer.Templates;

/// <summary>
/// A chat template: a Jinja program that turns messages into the text a model was trained on. It renders what Python's jinja2 renders under
/// transformers' settings (immutable sandbox, <c>trim_blocks</c>, <c>lstrip_blocks</c>, loop controls, <c>{% generation %}</c>), and raises where Python
/// raises.
/// Instances are immutable and may be used by many threads.
/// </summary>
public sealed class ChatTemplate
{
    private readonly Statement[] _body;
    private readonly FunctionScope _function;
    private readonly Entry _entry;

    private ChatTemplate(string source, string name, Statement[] body, IReadOnlyDictionary<string, JsonElement> specialTokens)
    {
        SpecialTokens = specialTokens;
        Source = source;
        Name = name;
        _body = body;
        (_function, _entry) = Binder.Bind(body);
        HasGenerationMarks = NameSearch.HasGeneration(body);
        ContentHash = Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(source)));
    }

    /// <summary>The Jinja source.</summary>
    public string Source { get; }

    /// <summary>Where the template came from, for messages and for <c>data show</c>.</summary>
    public string Name { get; }

    /// <summary>Whether the template marks the assistant's words with <c>{% generation %}</c>.</summary>
    public bool HasGenerationMarks { get; }

    /// <summary>Whether the rendered text may depend on the day (<c>strftime_now</c>).</summary>
    public bool UsesClock => Source.Contains("strftime_now", StringComparison.Ordinal);

    /// <summary>Hex SHA-256 of the source, for cache keys and run records.</summary>
    public string ContentHash { get; }

    /// <summary>Special tokens of the model's tokenizer (<c>bos_token</c>, <c>eos_token</c>, ...), given to every render unless its input sets them.</summary>
    public IReadOnlyDictionary<string, JsonElement> SpecialTokens { get; }

    /// <summary>Reads a template.</summary>
    /// <param name="source">Jinja source.</param>
    /// <param name="name">A name for messages.</param>
    /// <param name="specialTokens">Variables of every render, or null.</param>
    /// <exception cref="TemplateException">The source is no valid template.</exception>
    public static ChatTemplate Parse(string source, string name, IReadOnlyDictionary<string, JsonElement>? specialTokens = null)
    {
        try
        {
            return new ChatTemplate(source, name, Parser.Parse(source), specialTokens ?? new Dictionary<string, JsonElement>());
        }
        catch (PythonError error)
        {
            throw Fault("cannot be read", name, error);
        }
        catch (InsufficientExecutionStackException inner)
        {
            throw Fault("cannot be read", name, new PythonError("RecursionError", "it is nested too deeply"), inner);
        }
    }

    /// <summary>Loads the default template of a model folder, or the given file; see <see cref="ChatTemplateSet.Load"/>.</summary>
    /// <returns>The template, or null where the folder has none.</returns>
    /// <exception cref="TemplateException">A file cannot be read or is no template.</exception>
    public static ChatTemplate? Load(string directory, string? overrideFile = null) => ChatTemplateSet.Load(directory, overrideFile)?.Default;

    /// <summary>Renders a conversation.</summary>
    /// <exception cref="TemplateException">The template refuses the conversation, or fails, or runs for too long.</exception>
    public RenderedChat Render(TemplateInput input)
    {
        var meter = new Meter();
        try
        {
            var now = input.Now;
            var run = new Run(Variables(input, meter), meter, () => now ?? TimeProvider.System.GetUtcNow().DateTime);
            var at = new Activation(_function.Slots, null);
            _entry.Enter(run, at);
            Statement.ExecuteAll(_body, run, at);
            var text = run.Text;
            var verified = true;
            for (var i = 0; i < run.Spans.Count && verified; i++)
                verified = run.Spans[i].End <= text.Length && text.AsSpan(run.Spans[i].Start, run.Spans[i].Length).SequenceEqual(run.SpanTexts[i]);
            return new RenderedChat(text, run.Spans, verified);
        }
        catch (PythonError error)
        {
            throw Fault("cannot render the conversation", Name, error);
        }
        catch (InsufficientExecutionStackException inner)
        {
            throw Fault("cannot render the conversation", Name, new PythonError("RecursionError", "maximum recursion depth exceeded"), inner);
        }
    }

    private Dictionary<string, object> Variables(TemplateInput input, Meter meter)
    {
        var variables = new Dictionary<string, object>();
        foreach (var (name, value) in SpecialTokens) variables[name] = PyJson.FromJson(value, meter);
        foreach (var (name, value) in input.Variables ?? SpecialTokens) variables[name] = PyJson.FromJson(value, meter);
        variables["messages"] = PyJson.FromJson(input.Messages, meter);
        variables["tools"] = input.Tools is { } tools ? PyJson.FromJson(tools, meter) : None.Value;
        variables["documents"] = input.Documents is { } documents ? PyJson.FromJson(documents, meter) : None.Value;
        variables["add_generation_prompt"] = PyNumber.Flag(input.AddGenerationPrompt);
        return variables;
    }

    private static TemplateException Fault(string what, string name, PythonError error, Exception? inner = null)
    {
        var where = error.Line > 0 ? $"'{name}', line {error.Line}" : $"'{name}'";
        var advice = error.Kind == "TemplateError"
            ? "change the row, or give another template with --chat-template FILE"
            : "give a corrected template with --chat-template FILE";
        var reason = error.Kind == "TemplateError" ? $"it says '{error.Message}'" : $"{error.Kind}: {error.Message}";
        return new TemplateException($"the chat template {what} ({where}): {reason}; {advice}", error.Kind, error.Message, inner ?? error, error.Line);
    }
}
