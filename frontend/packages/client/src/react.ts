/** React: a provider, and the hooks for the components inside it. */

import {
  createContext,
  createElement,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { RowcastClient } from "./client.ts";
import { type SensorReading, Sensors, type SensorsView } from "./sensors.ts";
import type { SubscribeOptions, SubscriptionEvent } from "./subscription.ts";

export type { MissedReadings, SensorReading, SensorsView } from "./sensors.ts";
export {
  useWebSocket,
  type WebSocketMessage,
  type WebSocketOptions,
  type WebSocketView,
} from "./web_socket.ts";

export interface RowcastProviderProps extends Omit<SubscribeOptions, "queue"> {
  /** Shared with other providers, each with its subscription; its creator closes it. By default the provider creates one. */
  client?: RowcastClient | undefined;
  /** For the provider's own client; `/ws/sensors/` of the page if absent. */
  url?: string | undefined;
  /** Called for every event when it arrives, not once a frame. */
  onEvent?: ((event: SubscriptionEvent) => void) | undefined;
  /** Which sensors the hooks see, of those subscribed to; all if absent. */
  shows?: ((sensor: string) => boolean) | undefined;
  children?: ReactNode;
}

const Context = createContext<Sensors | undefined>(undefined);

/** One subscription for all components inside it, by default from the newest reading of each sensor. */
export function RowcastProvider(props: RowcastProviderProps): ReactNode {
  const { client, url, onEvent, shows, children, from = "latest", sensors, mode, maxRate } = props;
  const tap = useRef(onEvent);
  const filter = useRef(shows);
  useEffect(() => {
    tap.current = onEvent;
    filter.current = shows;
  });
  // A new array with the same sensors in every render must not subscribe again.
  const key = JSON.stringify([{ sensors, from, mode, maxRate }, url]);
  const [store, setStore] = useState(() => ({ key, client, sensors: newSensors() }));
  if (store.key !== key || store.client !== client) setStore({ key, client, sensors: newSensors() });
  useEffect(() => {
    const [options, url] = JSON.parse(store.key) as [SubscribeOptions, string | null];
    const used = store.client ?? new RowcastClient({ url: url ?? undefined });
    const stop = store.sensors.follow(
      used,
      options,
      (event) => tap.current?.(event),
      (sensor) => filter.current?.(sensor) ?? true,
    );
    return () => {
      stop();
      if (!store.client) used.close();
    };
  }, [store]);
  return createElement(Context.Provider, { value: store.sensors }, children);
}

/**
 * The view of the provider's subscription; renders again, once a frame, when the value of `select` has changed. That value
 * must be identical while its part of the view is.
 */
export function useSensors(): SensorsView;
export function useSensors<T>(select: (view: SensorsView) => T): T;
export function useSensors<T>(select?: (view: SensorsView) => T): T | SensorsView {
  const { onView, view } = useStore();
  const read = () => (select ? select(view()) : view());
  return useSyncExternalStore(onView, read, read);
}

/** The newest reading of one sensor; renders again only when it changes. */
export function useSensor(sensor: string): SensorReading | undefined {
  const store = useStore();
  const subscribe = useCallback((listener: () => void) => store.onRow(sensor, listener), [store, sensor]);
  const read = () => store.row(sensor);
  return useSyncExternalStore(subscribe, read, read);
}

function useStore(): Sensors {
  const store = useContext(Context);
  if (!store) throw new Error("this component needs a RowcastProvider around it");
  return store;
}

function newSensors(): Sensors {
  return new Sensors(Date.now, (flush) => requestAnimationFrame(flush));
}
