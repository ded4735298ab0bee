/** Subscribes to Rowcast's readings: live, in order, resumed after every disconnect. */

export { type ClientOptions, RowcastClient } from "./client.ts";
export type { TokenSource } from "./credential.ts";
export {
  type GapEvent,
  type ReadingEvent,
  type State,
  type SubscribeOptions,
  Subscription,
  type SubscriptionEvent,
} from "./subscription.ts";
export { here, type Socket, type Surroundings } from "./surroundings.ts";
export { CLOSE_CODES, type CommandError, type Mode, type Next, type Reading, type Start } from "./wire.ts";
