import { page } from "../vite.page";

// Where a running console is while the page is developed: CONSOLE=http://localhost:8080 npm run dev:console
export default page(import.meta.dirname, process.env.CONSOLE ?? "http://localhost:8080");
