// A receiver of cwconnect's notifications, with Node's own modules alone: verify, keep, answer, then work.
//
//     SIGNATURE_KEY="the instance's signature key" PORT=8080 node receiver.mjs
//
// A notification that is genuine is written to the folder `inbox` before it is answered, so a crash loses none. A
// repeat, known by its webhook-id, is answered and not worked on again. What is in the inbox is worked on in order.

import { createHmac, timingSafeEqual } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync } from "node:fs";
import { open } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";

const KEY = process.env.SIGNATURE_KEY;
if (!KEY) throw new Error("SIGNATURE_KEY is not set.");
const INBOX = process.env.INBOX ?? "inbox";
const DONE = join(INBOX, "done");
const LARGEST_BODY = 64 * 1024 * 1024;
const OLDEST = 300; // seconds: an older signature may be a recorded one, played again

// Of `whsec_<base64>` what it encodes, else the key's UTF-8.
function secretOf(key) {
  const encoded = key.slice("whsec_".length);
  const isBase64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(encoded);
  return key.startsWith("whsec_") && isBase64 ? Buffer.from(encoded, "base64") : Buffer.from(key, "utf8");
}

function isGenuine(headers, body) {
  const id = headers["webhook-id"] ?? "";
  const timestamp = headers["webhook-timestamp"] ?? "";
  if (!/^[0-9]{1,12}$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > OLDEST) return false;
  const expected = createHmac("sha256", secretOf(KEY)).update(`${id}.${timestamp}.`).update(body).digest();
  // Several while the key is being rotated.
  return (headers["webhook-signature"] ?? "").split(" ").some((signature) => {
    const given = Buffer.from(signature.startsWith("v1,") ? signature.slice(3) : "", "base64");
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}

let parts = 0;

// Writes a notification to the inbox, whole or not at all, unless it is a repeat.
async function keep(id, body, isReplay) {
  const name = `${id}.json`;
  if (!isReplay && (existsSync(join(INBOX, name)) || existsSync(join(DONE, name)))) return;
  const part = join(INBOX, `${name}.${parts++}.part`);
  const file = await open(part, "w");
  try {
    await file.writeFile(body);
    await file.sync();
  } finally {
    await file.close();
  }
  renameSync(part, join(INBOX, name));
}

// Works on what is in the inbox, in the order of the notifications' ids; then puts it aside.
function workThroughInbox() {
  const names = readdirSync(INBOX).filter((name) => name.endsWith(".json"));
  const waiting = names.map((name) => ({ name, notification: JSON.parse(readFileSync(join(INBOX, name), "utf8")) }));
  waiting.sort((one, other) => one.notification.id - other.notification.id);
  for (const { name, notification } of waiting) {
    const { events, raw } = notification.message;
    events.forEach((event, index) => handle(event, raw[raw.objectType][index]));
    renameSync(join(INBOX, name), join(DONE, name));
  }
}

// Does what your program does with a change. May be called again for one after a crash, so do it by `objectId`.
function handle(event, record) {
  console.log(event.eventType, `${event.objectType}/${event.objectId}`, record.name ?? "");
}

async function read(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > LARGEST_BODY) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function take(request) {
  if (request.method !== "POST") return 405;
  const body = await read(request);
  if (body === null) return 413;
  const id = request.headers["webhook-id"] ?? "";
  if (!/^msg_[A-Za-z0-9-]{1,60}$/.test(id) || !isGenuine(request.headers, body)) return 401;
  await keep(id, body, request.headers["elements-webhook-replay"] === "true");
  return 204;
}

mkdirSync(DONE, { recursive: true });
workThroughInbox();
createServer(async (request, response) => {
  let status = 500; // it could not be kept: cwconnect sends it again
  try {
    status = await take(request);
  } catch (error) {
    console.error(error);
  }
  response.writeHead(status, { "Content-Length": 0 });
  response.end(() => status === 204 && workThroughInbox());
}).listen(Number(process.env.PORT ?? 8080), "127.0.0.1");
