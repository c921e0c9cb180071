// Before work: whether one is heard, and whether calls can make themselves heard.

import { at } from "./page.js";
import { Meter } from "./meter.js";
import { mayNotify, testTone } from "./ringing.js";

export const meter = new Meter(() => { at("sit-down").disabled = false; });

at("mic-check")?.addEventListener("click", () => meter.check());
for (const id of ["mic-clean", "mic-device"]) {
  at(id)?.addEventListener("change", () => { if (meter.stream) meter.check(); });
}
at("ring-test")?.addEventListener("click", testTone);
at("notify")?.addEventListener("click", async () => { at("notify").disabled = await mayNotify(); });
