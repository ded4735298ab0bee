import type { Config } from "@react-router/dev/config";

// No server renders the page: the gateway serves build/client as static files.
export default { ssr: false } satisfies Config;
