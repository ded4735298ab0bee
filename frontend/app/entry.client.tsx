import { StrictMode, startTransition } from "react";
import { hydrateRoot } from "react-dom/client";
import { HydratedRouter } from "react-router/dom";
import { basenameOf, type Manifest, rebaseFiles } from "./page/basename";

declare global {
  interface Window {
    /** What React Router's build wrote into the document. */
    __reactRouterContext?: { basename?: string };
    __reactRouterManifest?: Manifest;
  }
}

const { __reactRouterContext: context, __reactRouterManifest: manifest } = window;
if (manifest) rebaseFiles(manifest, import.meta.url);
if (context?.basename) context.basename = basenameOf(context.basename, window.location.pathname);

startTransition(() => {
  hydrateRoot(
    document,
    <StrictMode>
      <HydratedRouter />
    </StrictMode>,
  );
});
