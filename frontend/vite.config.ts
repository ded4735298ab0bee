import { reactRouter } from "@react-router/dev/vite";
import tailwindcss from "@tailwindcss/vite";
import { defineConfig } from "vite";

// `npm run dev` talks to a gateway elsewhere; in production the page and the socket share an origin.
const gateway = process.env.ROWCAST_GATEWAY ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [tailwindcss(), reactRouter()],
  server: { proxy: { "/ws": { target: gateway, ws: true } } },
});
