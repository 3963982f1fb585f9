using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>The endpoint as a client sees it.</summary>
[Trait("ring", "smoke")]
public sealed class ServeTests
{
    private static readonly object Question = new { messages = new[] { new { role = "user", content = "Who are you?" } }, max_tokens = 8 };

    [Fact]
    public async Task A_run_is_served_with_its_base_and_wrong_requests_are_told_apart()
    {
        using var folder = new TemporaryFolder();
        var run = TrainerProgram.RunWarm(new ProgramRun("train", "--model", "tiny", "--data", "demo", "--max-steps", "30", "--batch-size", "8",
            "--learning-rate",
            "5e-3", "--output", "a") { Directory = folder.Path });
        Assert.True(run.ExitCode == 0, run.Error);
        using var server = TrainerProgram.Start(new ProgramRun("serve", "a", "--port", "0", "--max-request-size", "16KB", "--max-tokens",
            "16") { Directory = folder.Path });
        try
        {
            using var client = Client(await server.StandardOutput.ReadLineAsync());
            var models = await client.GetFromJsonAsync<JsonElement>("models");
            Assert.Equal(["adapter", "base"], models.GetProperty("data").EnumerateArray().Select(model => model.GetProperty("id").GetString()!));

            var adapted = await Say(client, "adapter");
            var plain = await Say(client, "base");
            Assert.NotEqual(plain, adapted);
            Assert.Equal(adapted, await Say(client, null));
            Assert.Equal(adapted, await Streamed(client));

            Assert.Equal(HttpStatusCode.NotFound, await Status(client, new { model = "gpt-4", messages = new[] { new { role = "user", content = "a" } } }));
            Assert.Equal(HttpStatusCode.BadRequest, await Status(client, new { messages = Array.Empty<object>() }));
            Assert.Equal(HttpStatusCode.BadRequest, await Status(client,
                new { messages = new[] { new { role = "user", content = "a" } }, temperature = "hot" }));
            Assert.Equal(HttpStatusCode.BadRequest, await Status(client,
                new { messages = new[] { new { role = "user", content = string.Concat(Enumerable.Repeat("a banana ", 1000)) } } }));
            Assert.Equal(HttpStatusCode.RequestEntityTooLarge,
                await Status(client, new { messages = new[] { new { role = "user", content = new string('a', 20000) } } }));
            // A conversation that cannot be rendered is the client's, and says why.
            using var alien = await client.PostAsJsonAsync("chat/completions", new { messages = new[] { new { role = "alien", content = "a" } } });
            Assert.Equal(HttpStatusCode.BadRequest, alien.StatusCode);
            Assert.Contains("alien", (await alien.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("error").GetProperty("message").GetString(),
                StringComparison.Ordinal);
            using var asked = await client.GetAsync("chat/completions");
            Assert.Equal(HttpStatusCode.MethodNotAllowed, asked.StatusCode);
            using var broken = await client.PostAsync("chat/completions", new StringContent("{\"messages\":", Encoding.UTF8, "application/json"));
            Assert.Equal(HttpStatusCode.BadRequest, broken.StatusCode);
            Assert.True((await broken.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("error").TryGetProperty("message", out _));
            using var simple = await client.PostAsync("chat/completions", new StringContent("{}", Encoding.UTF8, "text/plain"));
            Assert.Equal(HttpStatusCode.UnsupportedMediaType, simple.StatusCode);

            var many = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Say(client, i % 2 == 0 ? "adapter" : "base")));
            Assert.All(many.Where((_, i) => i % 2 == 0), answer => Assert.Equal(adapted, answer));
            Assert.All(many.Where((_, i) => i % 2 == 1), answer => Assert.Equal(plain, answer));

            using (Process.Start("kill", ["-TERM", $"{server.Id}"])) { }
            await server.WaitForExitAsync(new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token);
            Assert.Equal(0, server.ExitCode);
        }
        finally
        {
            if (!server.HasExited) server.Kill(entireProcessTree: true);
        }
    }

    [Fact]
    public async Task A_key_is_asked_for_and_an_open_address_needs_one()
    {
        Assert.Contains("--api-key", Assert.Single(TrainerProgram.RunWarm("serve", "tiny", "--host", "0.0.0.0").Faults(2)), StringComparison.Ordinal);
        using var server = TrainerProgram.Start(new ProgramRun("serve", "tiny", "--port",
            "0") { Environment = new Dictionary<string, string> { ["TRAINER_API_KEY"] = "secret" } });
        try
        {
            using var client = Client(await server.StandardOutput.ReadLineAsync());
            Assert.Equal(HttpStatusCode.Unauthorized, await Status(client, Question));
            client.DefaultRequestHeaders.Authorization = new("Bearer", "secret");
            Assert.Equal(HttpStatusCode.OK, await Status(client, Question));
        }
        finally
        {
            server.Kill(entireProcessTree: true);
        }
    }

    private static HttpClient Client(string? address) => new() { BaseAddress = new Uri(address + "/"), Timeout = TimeSpan.FromSeconds(120) };

    private static async Task<string> Say(HttpClient client, string? model)
    {
        using var answer = await client.PostAsJsonAsync("chat/completions",
            new { model, messages = new[] { new { role = "user", content = "What colour is a banana?" } }, max_tokens = 12 });
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var body = await answer.Content.ReadFromJsonAsync<JsonElement>();
        Assert.True(body.GetProperty("usage").GetProperty("completion_tokens").GetInt32() > 0);
        return body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
    }

    private static async Task<string> Streamed(HttpClient client)
    {
        using var answer = await client.PostAsJsonAsync("chat/completions",
            new { stream = true, messages = new[] { new { role = "user", content = "What colour is a banana?" } }, max_tokens = 12 });
        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType!.MediaType);
        var events = (await answer.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("data: [DONE]", events[^1]);
        return string.Concat(events[..^1].Select(line => JsonDocument.Parse(line["data: ".Length..]).RootElement.GetProperty("choices")[0].GetProperty("delta"))
            .Select(delta => delta.TryGetProperty("content", out var content) ? content.GetString() : ""));
    }

    private static async Task<HttpStatusCode> Status(HttpClient client, object body)
    {
        using var answer = await client.PostAsJsonAsync("chat/completions", body);
        return answer.StatusCode;
    }
}
