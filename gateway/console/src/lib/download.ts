// Files made in the browser.

/** Offers bytes or text as a file. */
export function offer(name: string, content: BlobPart, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Rows as CSV that spreadsheets open with Vietnamese intact. */
export function csv(rows: readonly (readonly string[])[]): string {
  const cell = (text: string) => {
    // A leading =, + or @ would be run as a formula by spreadsheets.
    const safe = /^[=+@\t]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return `\uFEFF${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}
