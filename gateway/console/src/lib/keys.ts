// Keys that do what a click does. What they reach is marked where it stands: links of the navigation with data-go, buttons
// with data-key; lists are moved in from link to link.

/** How long after "g" the second letter may come, in milliseconds. */
export const PAUSE = 1500;

export type Wish =
  | { kind: "move"; step: 1 | -1 }
  | { kind: "search" | "list" | "wait" }
  | { kind: "go" | "press"; key: string };

/** What a key asks for, the one before it being "g" or not. */
export function wish(key: string, isAfterG: boolean): Wish | undefined {
  if (isAfterG && /^[a-z]$/.test(key)) return { kind: "go", key };
  switch (key) {
    case "g":
      return { kind: "wait" };
    case "j":
      return { kind: "move", step: 1 };
    case "k":
      return { kind: "move", step: -1 };
    case "/":
      return { kind: "search" };
    case "?":
      return { kind: "list" };
    case "y":
    case "e":
      return { kind: "press", key };
    default:
      return undefined;
  }
}

/** Whether a key pressed there is typing, or is for a dialog or a menu that is open. */
export function isTaken(at: Element): boolean {
  return at.closest("input, textarea, select, [contenteditable], dialog[open], :popover-open") !== null;
}

const shown = (found: Iterable<Element>) => [...found].filter((one): one is HTMLElement => one.checkVisibility());

/** The link of each line of the lists on a page. */
function lines(page: Element): HTMLElement[] {
  const rows = [...page.querySelectorAll("li, tbody tr")];
  return shown(new Set(rows.flatMap((row) => row.querySelector('a[href^="/"]') ?? [])));
}

/** Does what was asked for on a page, seen from where the focus is; nothing where there is nothing to do it on. */
export function fulfil(wish: Wish, page: Element, focus: Element): void {
  switch (wish.kind) {
    case "go":
      document.querySelector<HTMLElement>(`[data-go="${wish.key}"]`)?.click();
      break;
    case "search":
      shown(page.querySelectorAll('input[type="search"]'))[0]?.focus();
      break;
    case "move": {
      const side = wish.step > 0 ? Node.DOCUMENT_POSITION_FOLLOWING : Node.DOCUMENT_POSITION_PRECEDING;
      const beyond = lines(page).filter((line) => focus.compareDocumentPosition(line) & side);
      beyond.at(wish.step > 0 ? 0 : -1)?.focus();
      break;
    }
    case "press": {
      const marked = `[data-key="${wish.key}"]`;
      const row = focus.closest("li, tbody tr")?.querySelectorAll(marked) ?? [];
      shown([...row, ...page.querySelectorAll(marked)])[0]?.click();
      break;
    }
  }
}
