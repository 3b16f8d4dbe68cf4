import { mount } from "svelte";
import App from "./App.svelte";
import "./app.css";
import { i18n } from "./lib/i18n.svelte";
import { allowOwnScripts, restoreTheme } from "./lib/page";
import { followActions } from "./lib/trace";

allowOwnScripts();
restoreTheme();
followActions();
await i18n.start();
if (import.meta.env.PROD) void navigator.serviceWorker?.register("/sw.js").catch(() => undefined);
const target = document.getElementById("app");
if (target) mount(App, { target });
