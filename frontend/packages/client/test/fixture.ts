/** A client of a scripted server, new for each test of a file. */

import { afterEach, beforeEach } from "vitest";
import { RowcastClient } from "../src/index.ts";
import { ScriptedServer } from "./scripted.ts";
import { Seen, surroundings, Timers } from "./seen.ts";

export class Fixture {
  server!: ScriptedServer;
  client!: RowcastClient;
  /** The client's states. */
  seen!: Seen;

  constructor() {
    beforeEach(async () => {
      this.server = await ScriptedServer.listen();
      this.client = new RowcastClient({ url: this.server.url }, surroundings(new Timers()));
      this.seen = new Seen();
      this.seen.watch(this.client);
    });
    afterEach(async () => {
      this.client.close();
      await this.server.close();
    });
  }
}
