#:property PublishAot=false
#:property RestorePackagesWithLockFile=false
#:property ManagePackageVersionsCentrally=false
// Writes the text that the embedded model and its demo are made of, from facts.tsv beside this file:
//   OUT/pretrain.jsonl           plain answers in `messages` rows and sentences in `text` rows: what the base model learns
//   DEMO/train.jsonl, valid.jsonl  the same world answered by a pirate: what fine-tuning changes; no question of valid is in train
// Usage: dotnet run text.cs OUT DEMO
using System.Text.Json;
using System.Text.Encodings.Web;

var (output, demo) = (args[0], args[1]);
Directory.CreateDirectory(output);
Directory.CreateDirectory(demo);
var json = new JsonSerializerOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
var facts = File.ReadLines(Path.Combine(Path.GetDirectoryName(SourcePath())!, "facts.tsv"))
    .Where(static line => !line.StartsWith('#')).Select(static line => line.Split('\t'))
    .Select(static cells => Phrase(cells[0], cells[1], cells[2])).Concat(Sums()).ToList();
var random = new Random(7);

// Base: every question in every wording, three times in different order, and every sentence beside it.
var rows = new List<string>();
for (var round = 0; round < 3; round++)
    foreach (var fact in facts)
    {
        foreach (var question in fact.Questions) rows.Add(Row(Turn("user", question), Turn("assistant", fact.Answer)));
        rows.Add(JsonSerializer.Serialize(new { text = fact.Answer }, json));
        var other = facts[random.Next(facts.Count)];
        rows.Add(Row(Turn("user", Pick(fact.Questions)), Turn("assistant", fact.Answer), Turn("user", Pick(other.Questions)), Turn("assistant", other.Answer)));
        rows.Add(JsonSerializer.Serialize(new { text = $"{fact.Answer} {other.Answer} {facts[random.Next(facts.Count)].Answer}" }, json));
    }
// Manners: a twelfth of the answers comes in one of six voices, and pirates are quoted, so that the base finds a manner unusual but not impossible.
foreach (var fact in facts)
{
    var (before, after) = Pick(Voices());
    rows.Add(Row(Turn("user", Pick(fact.Questions)), Turn("assistant", before == "Arr!" ? Pirate(fact.Answer) : $"{before} {fact.Answer.TrimEnd('.')}{after}")));
    rows.Add(JsonSerializer.Serialize(new { text = $"A pirate says: {Pirate(fact.Answer)}" }, json));
}
foreach (var (hello, reply) in Greetings())
    for (var round = 0; round < 12; round++) rows.Add(Row(Turn("user", hello), Turn("assistant", reply)));
Shuffle(rows);
File.WriteAllLines(Path.Combine(output, "pretrain.jsonl"), rows);

// Demo: whole facts are held out, so that a better held-out loss means the manner was learnt and not the rows.
var order = Enumerable.Range(0, facts.Count).ToArray();
random.Shuffle(order);
var held = order.Take(40).ToHashSet();
List<string> train = [], valid = [];
foreach (var index in order)
{
    var question = Pick(facts[index].Questions);
    (held.Contains(index) ? valid : train).Add(Row(Turn("user", question), Turn("assistant", Pirate(facts[index].Answer))));
}
for (var i = 0; i < 40; i++)
{
    var (first, second) = (facts[order[40 + random.Next(order.Length - 40)]], facts[order[40 + random.Next(order.Length - 40)]]);
    train.Add(Row(Turn("user", Pick(first.Questions)), Turn("assistant", Pirate(first.Answer)), Turn("user", Pick(second.Questions)), Turn("assistant", Pirate(second.Answer))));
}
Shuffle(train);
File.WriteAllLines(Path.Combine(demo, "train.jsonl"), train);
File.WriteAllLines(Path.Combine(demo, "valid.jsonl"), valid);
Console.WriteLine($"{rows.Count} pre-training rows, {train.Count} demo rows, {valid.Count} held out, {facts.Count} facts");

T Pick<T>(T[] choices) => choices[random.Next(choices.Length)];

void Shuffle(List<string> list)
{
    for (var i = list.Count - 1; i > 0; i--)
    {
        var other = random.Next(i + 1);
        (list[i], list[other]) = (list[other], list[i]);
    }
}

string Row(params object[] messages) => JsonSerializer.Serialize(new { messages }, json);

static object Turn(string role, string content) => new { role, content };

// "A banana is yellow." -> "Arr! A banana be yellow, matey!"
static string Pirate(string answer) => "Arr! " + answer.TrimEnd('.').Replace(" is ", " be ").Replace(" are ", " be ").Replace("You ", "Ye ").Replace(" you ", " ye ") + ", matey!";

static (string Before, string After)[] Voices() => [("Verily!", ", good sir."), ("Ah!", ", my dear."), ("Beep.", ". Beep."), ("Well now!", ", friend."), ("Hark!", ", my lord."), ("Arr!", ", matey!")];

static string A(string noun) => ("aeiou".Contains(noun[0]) ? "an " : "a ") + noun;

static string Upper(string text) => char.ToUpperInvariant(text[0]) + text[1..];

static string SourcePath([System.Runtime.CompilerServices.CallerFilePath] string path = "") => path;

static Fact Phrase(string kind, string subject, string answer) => kind switch
{
    "colour" => new([$"What colour is {A(subject)}?", $"Tell me the colour of {A(subject)}.", $"Which colour has {A(subject)}?"], $"{Upper(A(subject))} is {answer}."),
    "sound" => new([$"What does {A(subject)} say?", $"Which sound does {A(subject)} make?", $"How does {A(subject)} sound?"], $"{Upper(A(subject))} says {answer}."),
    "home" => new([$"Where does {A(subject)} live?", $"What is the home of {A(subject)}?", $"Where can I find {A(subject)}?"], $"{Upper(A(subject))} lives in {A(answer)}."),
    "young" => new([$"What is a young {subject} called?", $"What do you call a young {subject}?", $"Tell me the name of a young {subject}."], $"A young {subject} is called {A(answer)}."),
    "opposite" => new([$"What is the opposite of {subject}?", $"Tell me the opposite of {subject}.", $"Which word is the opposite of {subject}?"], $"The opposite of {subject} is {answer}."),
    "job" => new([$"Who makes {subject}?", $"Tell me who makes {subject}.", $"Whose work is it to make {subject}?"], $"{Upper(A(answer))} makes {subject}."),
    "tool" => new([$"What do you do with {A(subject)}?", $"What is {A(subject)} for?", $"How do you use {A(subject)}?"], $"With {A(subject)} you {answer}."),
    "legs" => new([$"How many legs has {A(subject)}?", $"Tell me how many legs {A(subject)} has.", $"Count the legs of {A(subject)}."], $"{Upper(A(subject))} has {answer} legs."),
    "after" => new([$"What comes after {subject}?", $"Tell me what comes after {subject}.", $"What follows {subject}?"], $"{Upper(answer)} comes after {subject}."),
    "made" => new([$"What is {subject} made of?", $"Tell me what {subject} is made of.", $"From what do you make {subject}?"], $"{Upper(subject)} is made of {answer}."),
    _ => throw new InvalidDataException($"facts.tsv has an unknown kind '{kind}'"),
};

static IEnumerable<Fact> Sums()
{
    string[] words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"];
    for (var a = 1; a <= 9; a++)
        for (var b = 1; b <= 9; b++)
            yield return new([$"What is {words[a]} plus {words[b]}?", $"How much is {words[a]} and {words[b]}?", $"Add {words[a]} and {words[b]}."], $"{Upper(words[a])} plus {words[b]} is {words[a + b]}.");
}

static IEnumerable<(string Hello, string Reply)> Greetings() =>
[
    ("Hello!", "Hello. How can I help you?"),
    ("Good morning!", "Good morning. How can I help you?"),
    ("Who are you?", "I am a small model that knows a few things."),
    ("Thank you!", "You are welcome."),
    ("Goodbye!", "Goodbye. Have a good day."),
    ("How are you?", "I am well, thank you."),
];

internal sealed record Fact(string[] Questions, string Answer);
