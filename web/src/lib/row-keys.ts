import { useState } from "react";
import { useHotkeys } from "@/lib/hotkeys";

/** Walk the rows of a list with J and K and open one with O. Returns the id of the row one stands at. */
export function useRowKeys<T extends { id: string }>(rows: readonly T[], open: (row: T) => void): string | null {
  const [active, setActive] = useState<string | null>(null);
  const place = rows.findIndex((row) => row.id === active);
  const go = (to: number) => setActive(rows[Math.min(rows.length - 1, Math.max(0, to))]?.id ?? null);
  const openActive = () => {
    const row = rows[place];
    if (row) open(row);
  };
  useHotkeys({
    j: () => go(place + 1),
    k: () => go(place - 1),
    o: openActive,
  });
  return active;
}
