// A receiver of cwconnect's notifications, with .NET 8 alone: verify, keep, answer, then work.
//
//     dotnet new web --output receiver && cp Receiver.cs receiver/Program.cs && cd receiver
//     SIGNATURE_KEY="the instance's signature key" PORT=8080 dotnet run
//
// A notification that is genuine is written to the folder `inbox` before it is answered, so a crash loses none. A
// repeat, known by its webhook-id, is answered and not worked on again. What is in the inbox is worked on in order.

using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

const long LargestBody = 64 * 1024 * 1024;
const long Oldest = 300; // seconds: an older signature may be a recorded one, played again

var key = Environment.GetEnvironmentVariable("SIGNATURE_KEY") ?? throw new InvalidOperationException("SIGNATURE_KEY is not set.");
var port = Environment.GetEnvironmentVariable("PORT") ?? "8080";
var inbox = Environment.GetEnvironmentVariable("INBOX") ?? "inbox";
var done = Path.Combine(inbox, "done");
var arrived = new SemaphoreSlim(1); // what the inbox holds at the start is worked on first

Directory.CreateDirectory(done);
_ = Task.Run(async () =>
{
    while (true)
    {
        await arrived.WaitAsync(TimeSpan.FromMinutes(1));
        try
        {
            WorkThroughInbox();
        }
        catch (Exception error)
        {
            Console.Error.WriteLine(error); // it stays in the inbox, and is tried again
        }
    }
});

var builder = WebApplication.CreateBuilder();
builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
builder.WebHost.ConfigureKestrel(options => options.Limits.MaxRequestBodySize = LargestBody);
var app = builder.Build();
app.MapPost("/{**path}", async (HttpRequest request) =>
{
    using var read = new MemoryStream();
    await request.Body.CopyToAsync(read);
    var body = read.ToArray();
    var id = request.Headers["webhook-id"].ToString();
    if (!Regex.IsMatch(id, @"\Amsg_[A-Za-z0-9-]{1,60}\z") || !IsGenuine(request.Headers, id, body))
    {
        return Results.StatusCode(401);
    }
    Keep(id, body, isReplay: request.Headers["Elements-Webhook-Replay"] == "true");
    arrived.Release();
    return Results.StatusCode(204);
});
app.Run();

// Of `whsec_<base64>` what it encodes, else the key's UTF-8.
byte[] Secret()
{
    if (key.StartsWith("whsec_", StringComparison.Ordinal))
    {
        try
        {
            return Convert.FromBase64String(key["whsec_".Length..]);
        }
        catch (FormatException)
        {
            // a key that only looks like one
        }
    }
    return Encoding.UTF8.GetBytes(key);
}

bool IsGenuine(IHeaderDictionary headers, string id, byte[] body)
{
    var timestamp = headers["webhook-timestamp"].ToString();
    if (!Regex.IsMatch(timestamp, @"\A[0-9]{1,12}\z")
        || Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - long.Parse(timestamp)) > Oldest)
    {
        return false;
    }
    byte[] signed = [.. Encoding.UTF8.GetBytes($"{id}.{timestamp}."), .. body];
    var expected = Encoding.UTF8.GetBytes("v1," + Convert.ToBase64String(HMACSHA256.HashData(Secret(), signed)));
    // Several while the key is being rotated.
    return headers["webhook-signature"].ToString().Split(' ')
        .Any(signature => CryptographicOperations.FixedTimeEquals(expected, Encoding.UTF8.GetBytes(signature)));
}

// Writes a notification to the inbox, whole or not at all, unless it is a repeat.
void Keep(string id, byte[] body, bool isReplay)
{
    var path = Path.Combine(inbox, $"{id}.json");
    if (!isReplay && (File.Exists(path) || File.Exists(Path.Combine(done, $"{id}.json"))))
    {
        return;
    }
    var part = Path.Combine(inbox, $"{id}.{Guid.NewGuid()}.part");
    using (var file = File.Create(part))
    {
        file.Write(body);
        file.Flush(flushToDisk: true);
    }
    File.Move(part, path, overwrite: true);
}

// Works on what is in the inbox, in the order of the notifications' ids; then puts it aside.
void WorkThroughInbox()
{
    var waiting = Directory.GetFiles(inbox, "*.json")
        .Select(path => (Path: path, Body: JsonDocument.Parse(File.ReadAllBytes(path)).RootElement))
        .OrderBy(each => each.Body.GetProperty("id").GetInt64());
    foreach (var (path, notification) in waiting.ToList())
    {
        var message = notification.GetProperty("message");
        var raw = message.GetProperty("raw");
        var records = raw.GetProperty(raw.GetProperty("objectType").GetString()!);
        foreach (var (change, index) in message.GetProperty("events").EnumerateArray().Select((each, number) => (each, number)))
        {
            Handle(change, records[index]);
        }
        File.Move(path, Path.Combine(done, Path.GetFileName(path)), overwrite: true);
    }
}

// Does what your program does with a change. May be called again for one after a crash, so do it by `objectId`.
void Handle(JsonElement change, JsonElement record)
{
    var name = record.TryGetProperty("name", out var value) ? value.ToString() : "";
    Console.WriteLine($"{change.GetProperty("eventType")} {change.GetProperty("objectType")}/{change.GetProperty("objectId")} {name}");
}
