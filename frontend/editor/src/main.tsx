import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

createRoot(document.getElementById("editor")!).render(
  <StrictMode>
    <main>Orion Web Editor</main>
  </StrictMode>,
);
