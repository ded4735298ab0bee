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
  // What one file of the page loads lies beside it, under whatever prefix; the document's own files are the gateway's to name.
  experimental: {
    renderBuiltUrl: (file, { ssr, hostType }) => {
      if (ssr) return undefined;
      if (hostType !== "js") return { relative: true };
      return { runtime: `new URL(${JSON.stringify(`../${file}`)},import.meta.url).pathname` };
    },
  },
  server: { proxy: { "/ws": { target: gateway, ws: true }, "/sse": { target: gateway } } },
});
