import { reactRouter } from "@react-router/dev/vite";
import tailwindcss from "@tailwindcss/vite";
import { defaultClientConditions, defaultServerConditions, defineConfig } from "vite";

// `npm run dev` talks to a gateway elsewhere; in production the page and the socket share an origin.
const gateway = process.env.ROWCAST_GATEWAY ?? "http://127.0.0.1:8080";
// The client's sources, so that they need no build of their own before the page's.
const SOURCE = "rowcast-source";

export default defineConfig({
  plugins: [tailwindcss(), reactRouter()],
  resolve: { conditions: [SOURCE, ...defaultClientConditions] },
  ssr: { resolve: { conditions: [SOURCE, ...defaultServerConditions] } },
  server: { proxy: { "/ws": { target: gateway, ws: true }, "/sse": { target: gateway } } },
});
