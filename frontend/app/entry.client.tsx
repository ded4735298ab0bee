import { StrictMode, startTransition } from "react";
import { hydrateRoot } from "react-dom/client";
import { HydratedRouter } from "react-router/dom";
import { type Manifest, moveFiles, placeOf } from "./page/place";

declare global {
  interface Window {
    /** What React Router's build wrote into the document. */
    __reactRouterContext?: { basename?: string };
    __reactRouterManifest?: Manifest;
  }
}

const { __reactRouterContext: context, __reactRouterManifest: manifest } = window;
if (manifest) moveFiles(manifest, import.meta.url);
if (context?.basename) context.basename = placeOf(context.basename, window.location.pathname);

startTransition(() => {
  hydrateRoot(
    document,
    <StrictMode>
      <HydratedRouter />
    </StrictMode>,
  );
});
