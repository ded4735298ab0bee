import { defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";

export default defineConfig({
  ssr: { resolve: { conditions: ["rowcast-source", ...defaultServerConditions] } },
  // Above the deadline of what is waited for, so that a failure says what it waited for.
  test: { testTimeout: 20_000, include: ["app/**/*.test.{ts,tsx}", "packages/*/test/**/*.test.{ts,tsx}"] },
});
