using System.Text.Json;
using Trainer.Data.Rows;

namespace Trainer.Data.Conversations;

/// <summary>
/// Whether a turn is in the loss, as the turn itself says: <c>weight</c> (OpenAI, mistral-finetune), <c>loss</c> and <c>loss_scale</c> (ms-swift),
/// <c>loss_weight</c> (LLaMA-Factory), <c>train</c> and <c>training</c> (axolotl), <c>masked</c>. Honoured or refused, never passed over.
/// </summary>
internal static class TurnLoss
{
    private static readonly string[] Says = ["weight", "loss", "loss_weight", "loss_scale", "train", "training", "trainable"];
    private static readonly string[] InParts = ["train_detail", "training_detail"];

    private static readonly string[] Likely = ["loss", "train", "mask", "learn"];

    /// <summary>Keys that speak of the loss, and not to the template.</summary>
    public static bool IsKey(string name) => name == "masked" || Says.Contains(name) || InParts.Contains(name);

    /// <summary>Whether the turn is trained, or null where it does not say.</summary>
    public static bool? Read(JsonElement message, string at, bool isAssistant)
    {
        bool? trained = null;
        var by = "";
        foreach (var property in message.EnumerateObject())
        {
            var place = $"{at}.{property.Name}";
            if (!IsKey(property.Name) && SeemsKey(property))
                throw BadRowException.Malformed($"'{place}' seems to say whether the turn is trained, and this key is not known",
                    "write \"train\": true or false, or remove it");
            if (!IsKey(property.Name) || property.Value.ValueKind == JsonValueKind.Null) continue;
            if (InParts.Contains(property.Name))
                throw BadRowException.Malformed($"'{place}' picks parts of a turn to train on, and turns are trained whole or not at all",
                    "remove it, or leave the turn out with \"train\": false");
            var value = Flag(property.Value, place, property.Name) != (property.Name == "masked");
            if (value && !isAssistant)
                throw BadRowException.Malformed($"'{place}' asks to train on a turn that the assistant does not say",
                    "remove it, or train on the whole text with --train-on all");
            if (trained is { } other && other != value) throw BadRowException.Malformed($"'{place}' contradicts '{at}.{by}'", "keep one of them");
            (trained, by) = (value, property.Name);
        }
        return trained;
    }

    /// <summary>A flag whose name speaks of training: passed over, it would train what the row leaves out.</summary>
    private static bool SeemsKey(JsonProperty property) =>
        (property.Value.ValueKind is JsonValueKind.True or JsonValueKind.False
        || property.Value.ValueKind == JsonValueKind.Number && property.Value.GetDouble() is 0 or 1)
        && Array.Exists(Likely, word => property.Name.Contains(word, StringComparison.OrdinalIgnoreCase));

    private static bool Flag(JsonElement value, string place, string name) => value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.Number when value.GetDouble() is 0 or 1 => value.GetDouble() == 1,
        JsonValueKind.Number => throw BadRowException.Malformed($"'{place}' is {value.GetRawText()}; a turn's {name} must be 0 or 1",
            "give the row a weight of its own, or leave it out"),
        _ => throw BadRowException.Malformed($"'{place}' is {RowFields.Name(value)}; it must be true or false, or 0 or 1"),
    };
}
