// Verifies notifications with npm's standardwebhooks, as a receiver written in JavaScript would.
// Takes [{key, body, headers}, …] as JSON on standard input; prints one true or false for each.
// The clock is each attempt's own: the package refuses stamps that are more than five minutes off.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.argv[2]}/`);
const { Webhook } = require("standardwebhooks");
const now = Date.now;
const verified = JSON.parse(readFileSync(0, "utf8")).map(({ key, body, headers }) => {
  Date.now = () => 1000 * Number(headers["webhook-timestamp"]);
  try {
    new Webhook(key).verify(body, headers);
    return true;
  } catch (error) {
    if (error.name !== "WebhookVerificationError" && error.constructor.name !== "WebhookVerificationError") throw error;
    return false;
  } finally {
    Date.now = now;
  }
});
console.log(JSON.stringify(verified));
