// What both pages set up on the document itself.

const THEME = "civicmesh.theme";

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): unknown;
}

/** Under the page's policy a script may only come from this origin. */
export function allowOwnScripts(): void {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  trustedTypes?.createPolicy("default", {
    createScriptURL: (url) => {
      if (new URL(url, location.href).origin !== location.origin) throw new TypeError("script of another origin");
      return url;
    },
  });
}

export function restoreTheme(): void {
  const theme = localStorage.getItem(THEME);
  if (theme === "light" || theme === "dark") document.documentElement.style.colorScheme = theme;
}

export function toggleTheme(): void {
  const kept = document.documentElement.style.colorScheme;
  const dark = kept ? kept === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = dark ? "light" : "dark";
  document.documentElement.style.colorScheme = theme;
  localStorage.setItem(THEME, theme);
}
