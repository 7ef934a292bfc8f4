// Calls with openapi-fetch. Its types are openapi-typescript's: what was called and answered is checked with tsc after.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, baseUrl] = process.argv.slice(2);
const found = createRequire(pathToFileURL(`${folder}/calls.ts`)).resolve("openapi-fetch");
const { default: exported } = await import(pathToFileURL(found));
const createClient = exported.default ?? exported; // CommonJS wraps it once more

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  let raw = "";
  const client = createClient({
    baseUrl,
    headers: { Authorization: asked.authorization },
    fetch: async (request) => {
      const answer = await fetch(request);
      raw = await answer.clone().text();
      return answer;
    },
  });
  const init = { params: asked.places, ...(asked.body === null ? {} : { body: asked.body }) };
  const { data, error, response } = await client[asked.method](asked.path, init);
  const parsed = (response.ok ? data : error) ?? null;
  console.log(JSON.stringify({ status: response.status, raw, parsed, sent: asked.body }));
}
