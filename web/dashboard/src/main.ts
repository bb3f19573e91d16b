import "../../shared/theme.css";
import "../../shared/theme.svelte.ts";
import "./trading.css";
import { mount } from "svelte";
import App from "./App.svelte";

mount(App, { target: document.getElementById("app") as HTMLElement });
