// A certified issuer of OpenID Connect (npm's oidc-provider) on 127.0.0.1: node issuer.mjs FOLDER PORT CLIENT_ID SECRET REDIRECT
// Whoever gives a name signs in by it. GET /groups/NAME/a,b puts a person into groups.
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const [folder, port, client_id, client_secret, redirect] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(`${folder}/node_modules/oidc-provider/lib/index.js`));
const groups = new Map();
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id, client_secret, redirect_uris: [redirect] }],
  claims: { openid: ["sub"], profile: ["preferred_username", "groups"], email: ["email", "email_verified"] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id, groups: groups.get(id) ?? [], email: "olga@example.com" }),
  }),
  pkce: { required: () => true },
});
createServer((request, response) => {
  const [, path, name, list] = request.url.split("/");
  if (path !== "groups") return provider.callback()(request, response);
  groups.set(name, list ? list.split(",") : []);
  response.end("ok");
}).listen(Number(port), "127.0.0.1", () => console.log("ready"));
