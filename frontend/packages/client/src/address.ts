/** The gateway's addresses, from the option and the page's own address. */

export interface Addresses {
  /** `ws:` or `wss:`. */
  socket: string;
  /** `http:` or `https:`, on the same host. */
  stream: string;
}

/** The gateway's own path of the socket. */
export const SOCKET_PATH = "/ws/sensors/";

/** `http` becomes `ws` and back; a relative address is on the page's host. `/sse/…` is derived from `/ws/…`. */
export function addresses(url: string, page: string | undefined): Addresses {
  const socket = new URL(url, page);
  socket.protocol = socket.protocol.replace("http", "ws");
  const stream = new URL(socket);
  stream.protocol = stream.protocol.replace("ws", "http");
  stream.pathname = stream.pathname.replace(/\/ws\/[^/]*\/?$/, "/sse/sensors/");
  return { socket: socket.href, stream: stream.href };
}
