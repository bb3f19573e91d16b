import "../../shared/theme.css";
import "../../shared/theme.svelte.ts";
import "./trading.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { preferences } from "./lib/language.svelte.ts";

// Not `await` here: the build would cut what the other chunks share into small pieces.
void preferences.ready.then(() => mount(App, { target: document.getElementById("app") as HTMLElement }));
