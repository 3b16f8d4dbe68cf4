import { mount } from "svelte";
import "../app.css";
import { allowOwnScripts, restoreTheme } from "../lib/page";
import Portal from "./Portal.svelte";

allowOwnScripts();
restoreTheme();
const target = document.getElementById("app");
if (target) mount(Portal, { target });
