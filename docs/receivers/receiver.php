<?php
// A receiver of cwconnect's notifications, with PHP 8 alone: verify, keep, answer; and, apart from that, work.
//
//     SIGNATURE_KEY="the instance's signature key" php -S 127.0.0.1:8080 receiver.php    (or behind any web server)
//     SIGNATURE_KEY=… php receiver.php                                                    works through the inbox
//
// A notification that is genuine is written to the folder `inbox` before it is answered, so a crash loses none. A
// repeat, known by its webhook-id, is answered and not worked on again. Have cron run the second command each minute,
// one at a time (`flock -n inbox.lock php receiver.php`): it works on what is in the inbox, in order.

declare(strict_types=1);

const LARGEST_BODY = 64 * 1024 * 1024;
const OLDEST = 300; // seconds: an older signature may be a recorded one, played again

/** Of `whsec_<base64>` what it encodes, else the key's UTF-8. */
function secret_of(string $key): string
{
    $decoded = str_starts_with($key, 'whsec_') ? base64_decode(substr($key, 6), true) : false;
    return $decoded === false ? $key : $decoded;
}

function header_of(string $name): string
{
    return $_SERVER['HTTP_' . strtoupper(strtr($name, '-', '_'))] ?? '';
}

function is_genuine(string $key, string $body): bool
{
    $timestamp = header_of('webhook-timestamp');
    if (!preg_match('/^[0-9]{1,12}$/D', $timestamp) || abs(time() - (int) $timestamp) > OLDEST) {
        return false;
    }
    $signed = header_of('webhook-id') . ".$timestamp.$body";
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', $signed, secret_of($key), true));
    foreach (explode(' ', header_of('webhook-signature')) as $signature) { // several while the key is being rotated
        if (hash_equals($expected, $signature)) {
            return true;
        }
    }
    return false;
}

/** Writes a notification to the inbox, whole or not at all, unless it is a repeat; false if it can't be written. */
function keep(string $inbox, string $id, string $body, bool $is_replay): bool
{
    $name = "$id.json";
    if (!$is_replay && (is_file("$inbox/$name") || is_file("$inbox/done/$name"))) {
        return true;
    }
    $part = tempnam($inbox, 'part');
    $file = $part === false ? false : fopen($part, 'wb');
    if ($file === false) {
        return false;
    }
    $is_whole = fwrite($file, $body) === strlen($body) && fflush($file) && fsync($file);
    return fclose($file) && $is_whole && rename($part, "$inbox/$name");
}

/** Works on what is in the inbox, in the order of the notifications' ids; then puts it aside. */
function work_through_inbox(string $inbox): void
{
    $waiting = [];
    foreach (glob("$inbox/*.json") as $path) {
        $waiting[] = [json_decode(file_get_contents($path), true, 512, JSON_THROW_ON_ERROR), $path];
    }
    usort($waiting, fn(array $one, array $other) => $one[0]['id'] <=> $other[0]['id']);
    foreach ($waiting as [$notification, $path]) {
        ['events' => $events, 'raw' => $raw] = $notification['message'];
        foreach ($events as $index => $event) {
            handle($event, $raw[$raw['objectType']][$index]);
        }
        rename($path, "$inbox/done/" . basename($path));
    }
}

/** Does what your program does with a change. May be called again for one after a crash, so do it by `objectId`. */
function handle(array $event, array $record): void
{
    echo "{$event['eventType']} {$event['objectType']}/{$event['objectId']} ", $record['name'] ?? '', "\n";
}

function take(string $key, string $inbox): int
{
    if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
        return 405;
    }
    if ((int) ($_SERVER['CONTENT_LENGTH'] ?? 0) > LARGEST_BODY) {
        return 413;
    }
    $body = file_get_contents('php://input');
    $id = header_of('webhook-id');
    if (!preg_match('/^msg_[A-Za-z0-9-]{1,60}$/D', $id) || !is_genuine($key, $body)) {
        return 401;
    }
    return keep($inbox, $id, $body, header_of('elements-webhook-replay') === 'true') ? 204 : 500;
}

$key = getenv('SIGNATURE_KEY') ?: throw new RuntimeException('SIGNATURE_KEY is not set.');
$inbox = getenv('INBOX') ?: __DIR__ . '/inbox';
if (!is_dir("$inbox/done")) {
    mkdir("$inbox/done", 0700, true);
}
if (PHP_SAPI === 'cli') {
    work_through_inbox($inbox);
} else {
    http_response_code(take($key, $inbox));
}
