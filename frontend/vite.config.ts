import { reactRouter } from "@react-router/dev/vite";
import tailwindcss from "@tailwindcss/vite";
import { defaultClientConditions, defaultServerConditions, defineConfig } from "vite";

// `npm run dev` uses a gateway elsewhere; in production the page and the socket share an origin.
const gateway = process.env.ROWCAST_GATEWAY ?? "http://127.0.0.1:8080";
// The client's sources, so that the client need not be built before the page.
const SOURCE = "rowcast-source";

export default defineConfig({
  plugins: [tailwindcss(), reactRouter()],
  resolve: { conditions: [SOURCE, ...defaultClientConditions] },
  ssr: { resolve: { conditions: [SOURCE, ...defaultServerConditions] } },
  // A file of the page loads others relative to itself, under any prefix; the gateway writes the paths in the document.
  experimental: {
    renderBuiltUrl: (file, { ssr, hostType }) => {
      if (ssr) return undefined;
      if (hostType !== "js") return { relative: true };
      return { runtime: `new URL(${JSON.stringify(`../${file}`)},import.meta.url).pathname` };
    },
  },
  server: { proxy: { "/ws": { target: gateway, ws: true }, "/sse": { target: gateway } } },
});
