/** The page's path: the root of its host, or the prefix that the gateway wrote into the document. */

/** Files of a route or of the entry, with the build's paths from the root. */
interface Files {
  module: string;
  imports?: string[] | undefined;
  css?: string[] | undefined;
}

export interface Manifest {
  entry: Files;
  routes: Record<string, Files | undefined>;
}

/** Rewrites the files' paths to the prefix from which this module was loaded, `…/assets/entry.js`. */
export function rebaseFiles(manifest: Manifest, module: string): void {
  const base = new URL("..", module).pathname.replace(/\/$/, "");
  const rebase = (file: string) => base + file;
  for (const files of [manifest.entry, ...Object.values(manifest.routes)]) {
    if (!files) continue;
    files.module = rebase(files.module);
    files.imports = files.imports?.map(rebase);
    files.css = files.css?.map(rebase);
  }
}

/** The router's base name: the prefix, unless the page was requested without it, as through a forwarded port. */
export function basenameOf(prefix: string, path: string): string {
  return path === prefix || path.startsWith(`${prefix}/`) ? prefix : "/";
}
