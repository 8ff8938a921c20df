// Starts Debian's Chromium with the packages that `scripts/ui setup` installed.

import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const modules = createRequire(fileURLToPath(new URL("../../target/ui/", import.meta.url)));
const playwright = modules("playwright-core");

/** The source of axe, which finds faults of accessibility. */
export const axe = modules("axe-core").source;

export const chromium = () => playwright.chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  // In a container, and as root, Chromium has no sandbox of its own. It opens the host's page only.
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
});
