import { defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";

export default defineConfig({
  ssr: { resolve: { conditions: ["rowcast-source", ...defaultServerConditions] } },
  // Above the deadline of each wait, so that a failure names what it waited for.
  test: { testTimeout: 20_000, include: ["app/**/*.test.{ts,tsx}", "packages/*/test/**/*.test.{ts,tsx}"] },
});
