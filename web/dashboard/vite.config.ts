import { page } from "../vite.page";

// Where a running gateway is while the page is developed: GATEWAY=http://localhost:8000 npm run dev:dashboard
export default page(import.meta.dirname, process.env.GATEWAY ?? "http://localhost:8000");
