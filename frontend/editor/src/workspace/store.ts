/** A value that can be watched, and what React makes of it. */

import { useSyncExternalStore } from "react";

export class Store<T extends object> {
  private readonly watchers = new Set<() => void>();

  constructor(private value: T) {}

  readonly get = (): T => this.value;

  readonly watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => void this.watchers.delete(watcher);
  };

  set(change: Partial<T>): void {
    const names = Object.keys(change) as (keyof T)[];
    if (names.every((name) => Object.is(change[name], this.value[name]))) return;
    this.value = { ...this.value, ...change };
    for (const watcher of [...this.watchers]) watcher();
  }
}

/** Watch a part of a store; `select` must return the same value for the same state. */
export function useStore<T extends object, V>(store: Store<T>, select: (value: T) => V): V {
  return useSyncExternalStore(store.watch, () => select(store.get()));
}
