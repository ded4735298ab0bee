import { defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";

export default defineConfig({
  ssr: { resolve: { conditions: ["rowcast-source", ...defaultServerConditions] } },
  test: { include: ["app/**/*.test.{ts,tsx}", "packages/*/test/**/*.test.{ts,tsx}"] },
});
