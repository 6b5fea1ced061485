// The link to the lobby on a page that the lobby has just led to: it goes back, since the address before this one has the
// key, and no cookie remembers it.
const link = document.querySelector<HTMLAnchorElement>("[data-back]");

link?.addEventListener("click", (event) => {
  if (history.length < 2) return;
  event.preventDefault();
  history.back();
});
