// W3C trace context: everything that follows from one click carries one trace id.

const CARRIES = 5_000;

let action = { id: hex(16), until: 0 };

function hex(bytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (b) => b.toString(16).padStart(2, "0")).join("");
}

/** A click, a submit or a navigation begins a new trace. */
export function beginAction(now = Date.now()): void {
  action = { id: hex(16), until: now + CARRIES };
}

/** The header for a call made now; calls nobody clicked for get a trace of their own. */
export function traceparent(now = Date.now()): string {
  const id = now <= action.until ? action.id : hex(16);
  return `00-${id}-${hex(8)}-01`;
}

export function followActions(): void {
  for (const type of ["click", "submit"]) document.addEventListener(type, () => beginAction(), { capture: true });
}
