/** Runs in the build only, to write index.html. */

import { renderToReadableStream } from "react-dom/server";
import { type EntryContext, ServerRouter } from "react-router";

export default async function handleRequest(
  request: Request,
  status: number,
  headers: Headers,
  context: EntryContext,
) {
  const html = await renderToReadableStream(<ServerRouter context={context} url={request.url} />);
  // The whole document: its end has the data that the router starts from.
  await html.allReady;
  headers.set("Content-Type", "text/html");
  return new Response(html, { status, headers });
}
