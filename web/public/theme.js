// Runs before the first paint, so that a chosen theme does not flash. The choice is made in src/lib/theme.ts.
{
  const chosen = localStorage.getItem("sparkops.theme");
  const dark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}
