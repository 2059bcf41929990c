// The colour theme is set before the first paint; without a choice the system's holds.
"use strict";
(() => {
  const chosen = localStorage.getItem("ironclaw-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
