import type { ReactNode } from "react";
import { Links, Meta, Outlet, Scripts, useHref, useRouteError } from "react-router";
import "./app.css";
import icon from "./assets/icon.svg?no-inline";
import { PageHeader } from "./page/header";
import { ingestMeta } from "./page/ingest";

export const meta = () => [
  { title: "Real-time Sensor Data" },
  { name: "description", content: "Every sensor reading, the moment it is stored." },
];

export function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <head>
        <meta charSet="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="rowcast-ingest" content={ingestMeta()} />
        <link rel="icon" type="image/svg+xml" href={icon} />
        <Meta />
        <Links />
      </head>
      <body className="font-sans antialiased">
        <div className="mx-auto max-w-5xl px-4 pt-6 pb-16 sm:px-6 sm:pt-10">{children}</div>
        <Scripts />
      </body>
    </html>
  );
}

export default function App() {
  return <Outlet />;
}

export function HydrateFallback() {
  return <PageHeader state="connecting" stale={false} />;
}

export function ErrorBoundary() {
  const error = useRouteError();
  const notFound = typeof error === "object" && error !== null && "status" in error && error.status === 404;
  return (
    <main>
      <h1 className="text-2xl font-semibold">{notFound ? "Page not found" : "Something went wrong"}</h1>
      <p className="mt-3">
        <a className="text-accent underline" href={useHref("/")}>
          Real-time Sensor Data
        </a>
      </p>
    </main>
  );
}
