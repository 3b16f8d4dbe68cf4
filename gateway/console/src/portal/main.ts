import { mount } from "svelte";
import "../app.css";
import { allowOwnScripts, restoreTheme } from "../lib/page";
import Portal from "./Portal.svelte";
import { say } from "./say.svelte";

allowOwnScripts();
restoreTheme();
await say.start();
const target = document.getElementById("app");
if (target) mount(Portal, { target });
